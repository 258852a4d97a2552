import { afterEach, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation, type Observe } from '../../src/index.js'
import { grantReadSql } from '../../src/log/install.js'
import { migrate } from '../../src/log/migrations.js'
import { encodePlain } from '../../src/log/position.js'
import { GRAPHQL_TRANSPORTS, overGraphqlWs } from '../support/clients.js'
import { cursorsOf } from '../support/cursors.js'
import { createFormerLog } from '../support/former-log.js'
import { codeOf, dataOf, query } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { createServerLogin } from '../support/server-login.js'
import { waitUntil } from '../support/wait.js'

/** In ms. Not shorter: a WebSocket client has to answer a ping before the next one, and on a busy machine loopback takes its time. */
const KEEP_ALIVE = 1000

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const ENCRYPTED = /^[\w-]{60}$/
const PEOPLE = 'subscription ($after: String) { peopleChanged(after: $after) { cursor row { name } } }'
const CHANNEL = 'subscription ($after: String) { channel(name: "c", after: $after) { cursor payload } }'

async function prepare(make: () => Promise<TestLog>): Promise<TestLog> {
  const log = await make()
  closing.push(() => log.close())
  await log.query('create table people (pk int primary key, name text)')
  await log.watch('people')
  return log
}

async function serve(
  log: TestLog,
  databaseUrl = log.database.url,
  observe: Observe = () => undefined,
): Promise<ListenqlServer> {
  const server = await createServer({
    databaseUrl,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 20,
    keepAlive: KEEP_ALIVE,
    observe,
  })
  closing.push(() => server.close())
  await waitUntil(async () => (await names(server)).includes('people'), 'the table in the schema')
  return server
}

async function names({ url }: ListenqlServer): Promise<string[]> {
  const { watchedTables } = await query(url, '{ watchedTables { name } }')
  return (watchedTables as { name: string }[]).map(({ name }) => name)
}

async function snapshot({ url }: ListenqlServer): Promise<string> {
  const { people } = await query(url, '{ people { cursor } }')
  return (people as { cursor: string }).cursor
}

const addPerson = (log: TestLog, pk: number) => log.query(`insert into people values ($1, 'x')`, [pk])

it.each(Object.entries(GRAPHQL_TRANSPORTS))(
  'over %s every position is opaque, the same on every server, and valid on each',
  async (_name, subscribe) => {
    const log = await prepare(createLog)
    const [one, two] = [await serve(log), await serve(log)]
    const streams = [await subscribe(one.url, PEOPLE), await subscribe(two.url, PEOPLE)]
    const sent = streams.flatMap(({ position }) => (position ? [position()] : [])).filter(at => at)
    await addPerson(log, 1)
    await log.query(`select listenql.publish('c', 'text')`)
    const [first, other] = await Promise.all(streams.map(({ results }) => results.next('the event')))
    expect(first).toEqual(other)
    const { cursor } = dataOf(first as Record<string, unknown>).peopleChanged as { cursor: string }
    expect(first).toMatchObject({ extensions: { cursor } })
    const shown = await snapshot(one)
    for (const at of [cursor, shown, ...sent]) expect(at).toMatch(ENCRYPTED)
    const { decode } = await cursorsOf(log)
    expect(await log.read(decode(shown))).toEqual([])

    await addPerson(log, 2)
    const resumed = [
      await subscribe(one.url, PEOPLE, { after: cursor }),
      await subscribe(two.url, PEOPLE, {}, { after: cursor }),
    ]
    const [next, again] = await Promise.all(resumed.map(({ results }) => results.next('the next event')))
    expect(next).toEqual(again)
    expect(decode((next as { extensions: { cursor: string } }).extensions.cursor).id).toBeGreaterThan(
      decode(cursor).id,
    )
    // Published, so it stands between the two.
    const channel = await subscribe(two.url, CHANNEL, { after: cursor })
    const published = await channel.results.next('what was published')
    expect(published).toMatchObject({
      data: { channel: { payload: 'text', cursor: expect.stringMatching(ENCRYPTED) } },
    })

    const forged = cursor.slice(0, 30) + (cursor[30] === 'A' ? 'B' : 'A') + cursor.slice(31)
    const refused = await subscribe(one.url, PEOPLE, { after: forged })
    expect(codeOf(await refused.results.next('a refusal'))).toBe('CURSOR_INVALID')
    for (const stream of [...streams, ...resumed, channel, refused]) await stream.close()
  },
)

it('keep-alives carry opaque positions too', async () => {
  const log = await prepare(createLog)
  const server = await serve(log)
  const stream = await overGraphqlWs(server.url, PEOPLE)
  const accepted = stream.position?.()
  expect(accepted).toMatch(ENCRYPTED)
  await log.query(`select listenql.publish('elsewhere', 'x')`)
  const later = await waitUntil(() => {
    const at = stream.position?.()
    return at === accepted ? undefined : at
  }, 'a keep-alive with another position')
  expect(later).toMatch(ENCRYPTED)
  await stream.close()
})

it('a running server encrypts cursors once the schema of version 8 is upgraded, and still accepts the plain ones', async () => {
  const log = await prepare(() => createFormerLog(8))
  const [one, two] = [await serve(log), await serve(log)]
  const live = await overGraphqlWs(one.url, PEOPLE)
  const former = await snapshot(one)
  expect(former).toBe(encodePlain(await log.newest()))
  await addPerson(log, 1)
  expect(await live.results.next('an event')).toMatchObject({
    extensions: { cursor: expect.not.stringMatching(ENCRYPTED) },
  })
  await migrate(await log.connect())
  const { encode, decode } = await cursorsOf(log)

  // The other server may not have noticed the upgrade yet, but a cursor of the first server is valid there
  // all the same.
  const start = encode(await log.newest())
  const streams = [
    await overGraphqlWs(one.url, PEOPLE, { after: start }),
    await overGraphqlWs(two.url, PEOPLE, { after: start }),
  ]
  await addPerson(log, 2)
  for (const { results } of [live, ...streams]) {
    const { extensions } = (await results.next('an event')) as { extensions: { cursor: string } }
    expect(decode(extensions.cursor).n).toBeGreaterThan(decode(start).n)
  }
  const back = await overGraphqlWs(two.url, PEOPLE, { after: former })
  for (const _ of [1, 2]) {
    expect(await back.results.next('what came after the plain cursor')).toMatchObject({
      extensions: { cursor: expect.stringMatching(ENCRYPTED) },
    })
  }
  for (const stream of [live, back, ...streams]) await stream.close()
})

it('a server notices the upgrade of the schema by itself', async () => {
  const log = await prepare(() => createFormerLog(8))
  const server = await serve(log)
  const live = await overGraphqlWs(server.url, PEOPLE)
  await migrate(await log.connect())
  for (let pk = 1; ; pk++) {
    await addPerson(log, pk)
    const { extensions } = (await live.results.next('an event')) as { extensions: { cursor: string } }
    if (ENCRYPTED.test(extensions.cursor)) break
  }
  await live.close()
})

it('the migration grants the key to the existing logins of servers, and to no other role', async () => {
  const log = await prepare(() => createFormerLog(8))
  const logins = [
    await createServerLogin(log, { granted: false }),
    await createServerLogin(log, { granted: false }),
  ]
  for (const login of logins) closing.push(() => login.close())
  const [server, stranger] = logins.map(({ name }) => name)
  await log.query(
    `grant usage on schema listenql to ${server}, ${stranger}; grant execute on function listenql.newest() to ${server}`,
  )
  await migrate(await log.connect())
  const may = async (what: string) =>
    log.query(`select has_${what} as may from unnest($1::text[]) with ordinality u(login, i) order by i`, [
      [server, stranger],
    ])
  expect(await may(`function_privilege(login, 'listenql.cursor_key()', 'execute')`)).toEqual([
    { may: true },
    { may: false },
  ])
  expect(await may(`column_privilege(login, 'listenql.history', 'cursor_key', 'select')`)).toEqual([
    { may: false },
    { may: false },
  ])
})

it('a server whose login may not read the key issues no cursor', async () => {
  const log = await prepare(createLog)
  const login = await createServerLogin(log)
  closing.push(() => login.close())
  await log.query(grantReadSql(login.name, { schema: 'public', table: 'people' }))
  const url = Object.assign(new URL(log.database.url), {
    username: login.name,
    password: login.config.password,
  })
  const allowed = await serve(log, url.href)
  expect(await snapshot(allowed)).toMatch(ENCRYPTED)
  await log.query(`revoke execute on function listenql.cursor_key() from ${login.name}`)
  const observations: Observation[] = []
  const server = await serve(log, url.href, observation => observations.push(observation))
  expect(JSON.stringify(observations)).toContain('EXECUTE on listenql.cursor_key')
  await expect(snapshot(server)).rejects.toThrow('the cursor key cannot be read')
  const refused = await overGraphqlWs(server.url, PEOPLE, { after: encodePlain(await log.newest()) })
  expect(codeOf(await refused.results.next('a refusal'))).toBe('DATABASE_FAILED')
  await refused.close()
})

it('a log whose rows a dump left out gets a new key, and a running server adopts it', async () => {
  const log = await prepare(createLog)
  const server = await serve(log)
  const former = await snapshot(server)
  const keyOf = async () => (await log.query(`select encode(listenql.cursor_key(), 'hex') as key`))[0]?.key
  const key = await keyOf()
  expect(key).toMatch(/^[0-9a-f]{64}$/)
  // In one transaction: the server makes a new key as soon as it is committed.
  await log.query(`begin; truncate listenql.history, listenql.batch;
    do $$ begin assert listenql.cursor_key() is null; end $$; commit`)
  await log.newest()
  expect(await keyOf()).toMatch(/^[0-9a-f]{64}$/)
  expect(await keyOf()).not.toBe(key)
  await log.refresh()
  const { decode } = await cursorsOf(log)
  // Retries as a client does: streams end with an error until the server has noticed the new history and
  // refreshed the catalogue.
  let pk = 0
  const cursor = await waitUntil(async () => {
    const after = await snapshot(server).catch(() => undefined)
    if (after === undefined || after === former) return undefined
    const stream = await overGraphqlWs(server.url, PEOPLE, { after })
    await addPerson(log, ++pk)
    const { extensions } = (await stream.results.next('an event')) as { extensions?: { cursor: string } }
    await stream.close()
    return extensions?.cursor
  }, 'an event of the new history')
  expect(() => decode(cursor as string)).not.toThrow()
  const late = await overGraphqlWs(server.url, PEOPLE, { after: former })
  expect(codeOf(await late.results.next('a refusal'))).toBe('CURSOR_INVALID')
  await late.close()
})
