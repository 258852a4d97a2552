import { request as httpRequest } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, overGraphqlWs, overSse, type TestSubscription } from '../support/clients.js'
import { Inbox } from '../support/inbox.js'
import { createLog, type TestLog } from '../support/log.js'
import { SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

// Limits on the work of filters. Every server has a healthy subscriber on each transport, which must not be affected.

let log: TestLog
let roles: TestRoles
let server: WitnessedServer | undefined
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table posts (id int primary key, body text);
    create table letters (id int primary key, owner text, body text);
    grant select on letters, posts to ${roles.user};
    alter table letters enable row level security;
    create policy mine on letters using (owner = current_setting('request.jwt.claims')::json ->> 'sub')`)
  await log.watch('posts', 'letters')
})
afterEach(async () => {
  await server?.expectHealthy()
  await server?.expectNothingLeft()
  await server?.close()
  server = undefined
  await log.query('truncate posts, letters')
})
afterAll(async () => {
  await roles?.drop()
  await log?.close()
})

async function start(options: ServerOptions = {}): Promise<WitnessedServer> {
  server = await startWitnessed(log.database, { catalogInterval: 50, ...options })
  return server
}

const ALL = 'subscription { postsChanged { operation key { id } } }'
const FILTERED =
  'subscription ($where: PostsFilter, $after: String) { postsChanged(where: $where, after: $after) { operation cursor key { id } } }'

/** Conditions that never hold, each with a different pattern. */
const conditions = (count: number, pattern: (i: number) => string) => ({
  or: Array.from({ length: count }, (_, i) => ({ body: { like: pattern(i) } })),
})
const errorOf = (result: Record<string, unknown>) =>
  (result as { errors?: { message: string; extensions: Record<string, unknown> }[] }).errors?.[0]
const idOf = (result: Record<string, unknown>) =>
  (result as { data?: { postsChanged?: { key?: { id: number } } } }).data?.postsChanged?.key?.id

describe('one event', () => {
  // The pattern begins to match at each position of the text, and then fails.
  const hostile = (i: number) => `%_${'a'.repeat(9000 - i)}b%`

  // The document is too long for a URL.
  it.each(Object.entries(GRAPHQL_TRANSPORTS).filter(([name]) => name !== 'SSE GET'))(
    'ends a subscription whose filter takes too much work, without delaying others: %s',
    async (_name, subscribe) => {
      const { url } = await start()
      const other = await overGraphqlWs(url, ALL)
      const heavy = await subscribe(url, FILTERED, { where: conditions(90, hostile) })
      await log.query(`insert into posts values (1, repeat('a', 20000)), (2, 'short')`)
      expect(idOf(await other.results.next())).toBe(1)
      expect(idOf(await other.results.next())).toBe(2)
      const error = errorOf(await heavy.results.next())
      expect(error).toMatchObject({
        extensions: { code: 'LIMIT_EXCEEDED', limit: 'maxFilterWork', max: 2_000_000 },
      })
      expect(error?.extensions.hint).toContain('--max-filter-work')
      await Promise.all([other.close(), heavy.close()])
    },
  )

  it('is filtered by as many conditions if the texts are ordinary', async () => {
    const { url } = await start()
    const where = conditions(90, i => `%word ${i}_ and more%`)
    const subscription = await overGraphqlWs(url, FILTERED, { where })
    const sentence = 'it is a text of many words, and one of a thousand more. '
    await log.query(`insert into posts values (1, repeat('${sentence}', 360)),
      (2, repeat('${sentence}', 360) || 'word 89, and more'), (3, 'x')`)
    expect(idOf(await subscription.results.next())).toBe(2)
    await log.query(`update posts set body = 'word 5. and more' where id = 3`)
    expect(idOf(await subscription.results.next())).toBe(3)
    await subscription.close()
  })

  it('ends a subscription that resumes before it in the same way', async () => {
    const { url } = await start({ maxFilterWork: 1000 })
    const { body } = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ posts { cursor } }' }),
    }).then(async response => ({ body: (await response.json()) as { data: { posts: { cursor: string } } } }))
    await log.query(`insert into posts select i, repeat('a', 2000) from generate_series(1, 10) i`)
    const where = conditions(10, i => `%${i}%`)
    const subscription = await overGraphqlWs(url, FILTERED, { where, after: body.data.posts.cursor })
    expect(errorOf(await subscription.results.next())?.extensions).toMatchObject({ limit: 'maxFilterWork' })
    await subscription.close()
  })
})

/** Subscribes over SSE, from an address that a trusted proxy names. */
function from(address: string, url: string, query: string, variables: object): Promise<TestSubscription> {
  const results = new Inbox<Record<string, unknown>>()
  const search = new URLSearchParams({ query, variables: JSON.stringify(variables) })
  const headers = { accept: 'text/event-stream', 'x-forwarded-for': address }
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}/graphql?${search}`, { headers, agent: false }, response => {
      let rest = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.startsWith('data: ')) results.push(JSON.parse(line.slice(6)))
      })
      response.on('error', () => undefined)
      const ended = new Promise<string>(end => response.once('close', () => end('closed')))
      resolve({ results, ended, close: () => void request.destroy() })
    })
    request.on('error', reject)
    request.end()
  })
}

describe('one viewer', () => {
  const proxied = { trustProxy: ['127.0.0.1', '::1'], filterRate: 2000 }
  const insert = (first: number, last: number) =>
    log.query(`insert into posts select i, repeat('a', 800) from generate_series(${first}, ${last}) i`)

  it('that spends too much loses the subscriptions that cost more, and no other viewer loses any', async () => {
    const { url } = await start(proxied)
    // Both subscribe to the same, so the filter is evaluated once for both; the first subscriber pays.
    const shared = { where: { body: { like: '%a' } } }
    const greedy = await from('203.0.113.7', url, FILTERED, shared)
    const modest = await from('203.0.113.8', url, FILTERED, shared)
    const heavy = await from('203.0.113.7', url, FILTERED, { where: conditions(100, i => `%${i}%`) })
    await insert(1, 20)
    expect(errorOf(await heavy.results.next())?.extensions).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      limit: 'filterRate',
      max: 2000,
    })
    await insert(21, 30)
    let last = await greedy.results.next()
    while (idOf(last) !== undefined) last = await greedy.results.next('the end')
    expect(errorOf(last)?.extensions).toMatchObject({ limit: 'filterRate' })
    expect((await modest.results.take(30)).map(idOf)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    await insert(31, 40)
    expect((await modest.results.take(10)).map(idOf)).toEqual(Array.from({ length: 10 }, (_, i) => i + 31))
    await Promise.all([greedy, modest, heavy].map(each => each.close()))
  })

  it('spends steps on replayed events too', async () => {
    const { url } = await start({ filterRate: 2000 })
    const cursors = await overSse('GET')(url, FILTERED)
    await insert(1, 100)
    const { extensions } = (await cursors.results.next()) as { extensions: { cursor: string } }
    const where = conditions(20, i => `%${i}%`)
    const late = await overGraphqlWs(url, FILTERED, { where, after: extensions.cursor })
    expect(errorOf(await late.results.next())?.extensions).toMatchObject({ limit: 'filterRate' })
    await Promise.all([cursors, late].map(each => each.close()))
  })

  it('spends no steps on filters that an index answers', async () => {
    const { url } = await start({ filterRate: 300 })
    const where = { id: { eq: 5 }, body: { like: 'b%' } }
    const one = await overGraphqlWs(url, FILTERED, { where })
    await insert(1, 4)
    await insert(6, 3000)
    await log.query(`insert into posts values (5, 'b')`)
    expect(idOf(await one.results.next())).toBe(5)
    await one.close()
  })
})

describe('rows that a viewer may not see', () => {
  const LETTERS =
    'subscription ($where: LettersFilter, $after: String) { lettersChanged(where: $where, after: $after) { operation cursor key { id } } }'
  const where = { body: { like: `%${'a_'.repeat(500)}b%` } }
  const shown = (result: Record<string, unknown>) =>
    (result as { data?: { lettersChanged?: { key?: { id: number } } } }).data?.lettersChanged?.key?.id

  it('cost no filter steps, live or replayed', async () => {
    const { url } = await start({
      ...{ jwtSecret: SECRET, anonymousRole: roles.anonymous, channels: ['*'], policyTimeout: 5000 },
      ...{ maxFilterWork: 10_000, filterRate: 10_000 },
    })
    const token = await sign({ role: roles.user, sub: 'ann' })
    const live = await overGraphqlWs(url, LETTERS, { where }, { token })
    const all = await overGraphqlWs(url, LETTERS, {}, { token })
    await log.query(`insert into letters values (0, 'ann', 'first')`)
    const first = (await all.results.next()) as { extensions: { cursor: string } }
    await log.query(`insert into letters select i, 'bob', repeat('a', 20000) from generate_series(1, 50) i`)
    await log.query(`update letters set body = body || 'a' where owner = 'bob'`)
    await log.query(`insert into letters values (100, 'ann', '${'ax'.repeat(500)}b')`)
    expect(shown(await live.results.next())).toBe(100)
    const again = await overGraphqlWs(url, LETTERS, { where, after: first.extensions.cursor }, { token })
    expect(shown(await again.results.next())).toBe(100)
    // Rows that the viewer may see do count.
    await log.query(`insert into letters values (101, 'ann', repeat('a', 20000))`)
    for (const subscription of [live, again]) {
      expect(errorOf(await subscription.results.next())?.extensions).toMatchObject({ code: 'LIMIT_EXCEEDED' })
    }
    await waitUntil(async () => shown(await all.results.next()) === 101, 'the last row')
    await Promise.all([live, all, again].map(each => each.close()))
  })
})
