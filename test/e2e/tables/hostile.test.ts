import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation } from '../../../src/index.js'
import { encodePlain } from '../../../src/log/position.js'
import { GRAPHQL_TRANSPORTS, overGraphqlWs, overSse } from '../../support/clients.js'
import { cursorsOf } from '../../support/cursors.js'
import { codeOf, dataOf, query } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let server: ListenqlServer
let observations: Observation[] = []
beforeAll(async () => {
  log = await createLog()
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 50,
    observe: observation => observations.push(observation),
  })
})
afterAll(async () => {
  await server.close()
  await log.close()
})

let rounds = 0
beforeEach(async () => {
  observations = []
  const comment = `round ${++rounds}`
  await log.query(`drop table if exists people cascade; create table people (pk int primary key, name text);
    comment on table people is '${comment}'`)
  await log.watch('people')
  await expect
    .poll(async () => (await query(server.url, '{ watchedTables { comment } }')).watchedTables)
    .toContainEqual({ comment })
})

const PEOPLE =
  'subscription ($after: String) { peopleChanged(after: $after) { operation cursor key { pk } row { name } } }'

/** The catalogue may lag a moment after an ALTER. */
async function cursorOfNow(): Promise<string> {
  const snapshot = () => query(server.url, '{ people { cursor } }').catch(() => undefined)
  const { people } = await waitUntil(snapshot, 'a snapshot')
  return (people as { cursor: string }).cursor
}

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('over %s', (_name, subscribe) => {
  it.each([
    ['a statement number beyond int4', { ord: 2 ** 30, statement: 2 ** 40, id: 1 }],
    ['a transaction number beyond int4', { ord: 2 ** 40, statement: 1, id: 1 }],
    ['a future event', { ord: 2 ** 30, statement: 2 ** 30, id: 2 ** 50 }],
    ['a future batch', { n: 2 ** 52 }],
  ])('a cursor with %s is refused, or starts after it', async (_what, wrong) => {
    const now = (await cursorsOf(log)).decode(await cursorOfNow())
    const after = encodePlain({ ...now, ...wrong })
    const subscription = await subscribe(server.url, PEOPLE, { after })
    await log.query(`insert into people values (1, 'Paul')`)
    const result = await subscription.results.next('an answer', 5000)
    if (result.errors) expect(codeOf(result)).toMatch(/^CURSOR_/)
    else expect(dataOf(result)).toMatchObject({ peopleChanged: { row: { name: 'Paul' } } })
    expect(observations.filter(({ type }) => type === 'log.lost' || type === 'fault')).toEqual([])
    await subscription.close()
  })

  it.each([
    ['a number', 5],
    ['an object', { cursor: 'x' }],
    ['a list', []],
    ['false', false],
    ['null', ''],
    ['a very long text', 'A'.repeat(100_000)],
  ])('extensions.after that is %s is refused', async (_what, after) => {
    const subscription = await subscribe(server.url, PEOPLE, {}, { after: after as string }).catch(String)
    if (typeof subscription === 'string') return expect(subscription).toMatch(/ 4\d\d |^Error: 4\d\d/)
    expect(codeOf(await subscription.results.next('an answer', 5000))).toBe('CURSOR_INVALID')
    await subscription.close()
  })

  it('after works as a variable of its own in the filter, in a fragment, under an alias and in one of several operations', async () => {
    const after = await cursorOfNow()
    await log.query(`insert into people values (1, 'Paul'), (2, '${after}')`)
    const documents = [
      'subscription ($after: String!) { people: peopleChanged(after: $after, where: {name: {eq: $after}}) { key { pk } } }',
      'subscription ($after: String) { ...all } fragment all on Subscription { people: peopleChanged(after: $after, where: {pk: {eq: 2}}) { ...key } } fragment key on PeopleChange { key { pk } }',
      'subscription ($after: String = "nonsense") { ... on Subscription { people: peopleChanged(after: $after, where: {pk: {eq: 2}}) { key { pk } } } }',
    ]
    for (const document of documents) {
      const subscription = await subscribe(server.url, document, { after })
      expect(dataOf(await subscription.results.next())).toEqual({ people: { key: { pk: 2 } } })
      await subscription.close()
    }
  })

  it('an empty list of operations delivers nothing, and the position advances', async () => {
    const subscription = await subscribe(
      server.url,
      'subscription { peopleChanged(operations: []) { operation } }',
    )
    await log.query(`insert into people values (1, 'Paul'); truncate people`)
    const other = await overSse('POST')(server.url, PEOPLE, { after: await cursorOfNow() })
    await log.query(`insert into people values (2, 'Ada')`)
    await other.results.next()
    expect(subscription.results.drain()).toEqual([])
    await subscription.close()
    await other.close()
  })
})

it.each([
  ['graphql-ws', overGraphqlWs],
  ['SSE', overSse('POST')],
])('a root field that is skipped is an error, not a fault, over %s', async (_name, subscribe) => {
  for (const document of [
    'subscription { peopleChanged @skip(if: true) { operation } }',
    'subscription ($no: Boolean = false) { ... @include(if: $no) { peopleChanged { operation } } }',
    'subscription { ...all } fragment all on Subscription { peopleChanged @include(if: false) { operation } }',
  ]) {
    const subscription = await subscribe(server.url, document)
    expect(codeOf(await subscription.results.next('an answer', 5000))).toBe('BAD_REQUEST')
    await subscription.close()
  }
  expect(observations.filter(({ type }) => type === 'fault')).toEqual([])
})

it('an empty Last-Event-ID counts as absent, and a long one is refused', async () => {
  const empty = await overSse('GET')(server.url, PEOPLE, {}, { lastEventId: '' })
  await log.query(`insert into people values (1, 'Paul')`)
  expect(dataOf(await empty.results.next())).toMatchObject({ peopleChanged: { key: { pk: 1 } } })
  const long = await overSse('GET')(server.url, PEOPLE, {}, { lastEventId: 'A'.repeat(5000) })
  expect(codeOf(await long.results.next())).toBe('CURSOR_INVALID')
  expect(long.position?.()).toBe('')
  await empty.close()
  await long.close()
})

it('two clients with the same operation, other positions and other transports each get their own past and the same present', async () => {
  await log.query(`insert into people select i, 'n' || i from generate_series(1, 20) i`)
  const start = await cursorOfNow()
  const cursors = [start]
  for (let i = 21; i <= 40; i++) {
    await log.query(`insert into people values ($1, 'n')`, [i])
    cursors.push(await cursorOfNow())
  }
  const subscriptions = await Promise.all(
    Object.values(GRAPHQL_TRANSPORTS).map((subscribe, i) =>
      subscribe(server.url, PEOPLE, { after: cursors[i * 5] }),
    ),
  )
  await log.query(`insert into people values (41, 'n')`)
  for (const [i, { results, close }] of subscriptions.entries()) {
    const keys: number[] = []
    while (keys.at(-1) !== 41) {
      keys.push((dataOf(await results.next()).peopleChanged as { key: { pk: number } }).key.pk)
    }
    expect(keys).toEqual(Array.from({ length: 21 - i * 5 }, (_, k) => 21 + i * 5 + k))
    await close()
  }
})

it('a client that reconnects right after ALTER TABLE never gets a row with the former columns', async () => {
  for (let round = 0; round < 5; round++) {
    const [from, to] = round % 2 === 0 ? ['name', 'title'] : ['title', 'name']
    const field = from as string
    const after = await cursorOfNow()
    await log.query(`insert into people (pk, ${field}) values ($1, 'before')`, [round * 10])
    await log.query(
      `alter table people rename ${from} to ${to}; alter table people alter ${to} set default 'x'`,
    )
    await log.query(`insert into people (pk, ${to}) values ($1, 'behind')`, [round * 10 + 1])
    const subscription = await overGraphqlWs(
      server.url,
      `subscription ($after: String) { peopleChanged(after: $after) { key { pk } row { ${field} } } }`,
      { after },
    )
    for (;;) {
      const result = await subscription.results.next('an answer', 5000)
      if (result.errors) break
      const { key, row } = dataOf(result).peopleChanged as {
        key: { pk: number }
        row: Record<string, string>
      }
      expect([key.pk, row[field]]).toEqual([round * 10, 'before'])
    }
    await subscription.close()
    await expect
      .poll(() =>
        query(server.url, `{ people { rows { ${to} } } }`).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
  }
})
