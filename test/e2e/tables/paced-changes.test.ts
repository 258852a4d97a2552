import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GRAPHQL_TRANSPORTS, overGraphqlWs } from '../../support/clients.js'
import { CopiedRows } from '../../support/copied-rows.js'
import { resultOf } from '../../support/graphql-request.js'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let roles: TestRoles
let live: Live
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table people (id int primary key, name text, team text);
    create table words (word text);
    grant select on people to ${roles.user}`)
  await log.watch('people', 'words')
  live = await createLive(log)
  await live.ready('{ people { cursor } words { cursor } }')
})
afterAll(async () => {
  await live.close()
  await roles.drop()
  await log.close()
})
beforeEach(async () => {
  await log.query(
    `truncate people; insert into people select i, 'n' || i, 'red' from generate_series(1, 3) i`,
  )
})

const FIELDS = 'operation cursor key { id } row { id name team } old { name }'
const PEOPLE = `subscription ($every: Int = 300, $initial: Boolean, $after: String, $where: PeopleFilter) {
  peopleChanged(every: $every, initial: $initial, after: $after, where: $where) { ${FIELDS} } }`

/** Without the changes of `beforeEach`, which the server may not have delivered yet. */
const fromNow = async (every: number | null) =>
  live.subscribe(PEOPLE, { variables: { every }, after: await live.cursor('people') })

const table = async (where = 'true') =>
  (await log.query(`select id, name, team from people where ${where}`)) as unknown as { id: number }[]

/** In one transaction: 1 is updated twice, 2 replaced, 3 deleted, 4 inserted and updated, 5 inserted and deleted. */
const WRITES = `update people set name = 'a' where id = 1; update people set name = 'b' where id = 1;
  delete from people where id = 2; insert into people values (2, 'again', 'red');
  update people set name = 'c' where id = 3; delete from people where id = 3;
  insert into people values (4, 'd', 'red'); update people set name = 'e' where id = 4;
  insert into people values (5, 'f', 'red'); delete from people where id = 5`
const FOLDED = [
  { operation: 'UPDATE', key: { id: 1 }, row: { name: 'b' }, old: { name: 'n1' } },
  { operation: 'UPDATE', key: { id: 2 }, row: { name: 'again' }, old: { name: 'n2' } },
  { operation: 'DELETE', key: { id: 3 }, row: null, old: { name: 'n3' } },
  { operation: 'INSERT', key: { id: 4 }, row: { name: 'e' }, old: null },
]

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('%s', (_name, subscribe) => {
  it('delivers one change for each row of a window, live and from the past, and resumes after any of them', async () => {
    const start = await live.cursor('people')
    const streams = [
      await subscribe(live.server.url, PEOPLE, { initial: true }),
      await subscribe(live.server.url, PEOPLE),
    ]
    await new CopiedRows().takeUpTo('READY', streams[0] as never)
    await log.query(WRITES)
    streams.push(await subscribe(live.server.url, PEOPLE, {}, { after: start }))
    const cursors: unknown[] = []
    for (const stream of streams) {
      for (const expected of FOLDED) {
        const change = await nextChange(stream)
        expect(change).toMatchObject(expected)
        cursors.push(change.cursor)
      }
      await stream.close()
    }
    const known = await table()
    for (const [taken, after] of cursors.slice(0, FOLDED.length).entries()) {
      const copy = new CopiedRows()
      for (const id of [1, 2, 3]) copy.rows.set(id, { id, name: `n${id}`, team: 'red' })
      for (const { key, row } of FOLDED.slice(0, taken + 1)) {
        if (row)
          copy.rows.set(
            key.id,
            known.find(({ id }) => id === key.id),
          )
        else copy.rows.delete(key.id)
      }
      const resumed = await subscribe(live.server.url, PEOPLE, {}, { after: after as string })
      await copy.becomes(resumed, () => table())
      await resumed.close()
    }
  })
})

it('delivers every change of a table without a primary key', async () => {
  const stream = await live.subscribe('subscription { wordsChanged(every: 50) { operation row { word } } }')
  await log.query(`insert into words values ('a'), ('a'); delete from words`)
  const changes = [1, 2, 3, 4].map(() => nextChange(stream))
  expect((await Promise.all(changes)).map(({ operation }) => operation)).toEqual([
    'INSERT',
    'INSERT',
    'DELETE',
    'DELETE',
  ])
  await stream.close()
})

it.each([
  [-1, 'less than 0'],
  [60_001, 'more than 60000'],
])('every: %i is refused', async (every, reason) => {
  const stream = await live.subscribe(PEOPLE, { variables: { every } })
  expect(await stream.results.next('a refusal')).toMatchObject({
    errors: [
      {
        message: `every: ${every} is ${reason}`,
        extensions: { code: 'ARGUMENT_INVALID', hint: expect.stringContaining('60000') },
      },
    ],
  })
  await stream.close()
})

it('every: 0 and null deliver each change by itself', async () => {
  for (const every of [0, null]) {
    const stream = await fromNow(every)
    await log.query(`update people set name = 'x' where id = 1; update people set name = 'y' where id = 1`)
    expect(await nextChange(stream)).toMatchObject({ row: { name: 'x' } })
    expect(await nextChange(stream)).toMatchObject({ row: { name: 'y' } })
    await stream.close()
  }
})

it('changes before the schema changes are delivered as they were, before those after it', async () => {
  const stream = await fromNow(60_000)
  await log.query(`update people set name = 'before' where id = 1`)
  await log.query('alter table people add column extra int')
  await log.query(`update people set name = 'after' where id = 1`)
  expect(await nextChange(stream)).toMatchObject({ row: { name: 'before' }, old: { name: 'n1' } })
  await log.query('alter table people drop column team')
  expect(await nextChange(stream)).toMatchObject({ row: { name: 'after' } })
  expect(await endOf(stream)).toBe('SCHEMA_CHANGED')
  await stream.close()
  await log.query('alter table people drop column extra, add column team text')
  await live.ready('{ people { rows { team } } }')
})

describe.each([
  ['under row-level security', { team: undefined }],
  ['under row-level security, with a filter', { team: { eq: 'blue' } }],
])('%s', (_name, where) => {
  let secured: Live
  beforeAll(async () => {
    await log.query(`alter table people enable row level security;
      create policy own on people to ${roles.user}
        using (team = current_setting('request.jwt.claims', true)::json->>'team')`)
    secured = await createLive(log, { jwtSecret: SECRET })
    const token = await sign({ role: roles.user, team: 'blue', exp: inSeconds(600) })
    const isReady = async () =>
      'data' in (await resultOf(secured.server.url, '{ people { cursor } }', { token }))
    await waitUntil(isReady, 'the table')
  })
  afterAll(async () => {
    await secured.close()
    await log.query('alter table people disable row level security; drop policy own on people')
  })

  it('copies are equal to what the viewers see, while sessions write and clients reconnect', async () => {
    const token = await sign({ role: roles.user, team: 'blue', exp: inSeconds(600) })
    const variables = { every: 20, initial: true, where: where.team ? where : null }
    const start = (after?: string) =>
      overGraphqlWs(secured.server.url, PEOPLE, variables, { token, ...(after && { after }) })
    const copies = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const copy = new CopiedRows()
        const stream = await start()
        await copy.takeUpTo('READY', stream)
        return { copy, stream }
      }),
    )
    for (let i = 0; i < 60; i++) {
      const id = (i * 7) % 10
      const team = i % 3 ? 'blue' : 'red'
      await log.query(
        i % 6 === 5
          ? `delete from people where id = ${id}`
          : `insert into people (id, name, team) values (${id}, '${i}', '${team}')
             on conflict (id) do update set name = excluded.name, team = excluded.team`,
      )
      const one = copies[i % copies.length]
      if (!one || i % 5 !== 4) continue
      await one.copy.takeNext(one.stream)
      await one.stream.close()
      one.stream = await start(one.copy.cursor)
    }
    for (const { copy, stream } of copies) {
      await copy.becomes(stream, () => table(`team = 'blue'`))
      await stream.close()
    }
  })
})
