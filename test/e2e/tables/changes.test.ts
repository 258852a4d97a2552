import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { GRAPHQL_TRANSPORTS, overGraphqlWs, overSse, type TestSubscription } from '../../support/clients.js'
import { codeOf, dataOf, query } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let server: ListenqlServer
const renamed: string[] = []
beforeAll(async () => {
  log = await createLog()
  server = await startServer()
})
afterAll(async () => {
  await server.close()
  await log.close()
})

const startServer = (options = {}) =>
  createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 50,
    ...options,
    observe: observation => {
      if (observation.type === 'schema.renamed') renamed.push(observation.message)
    },
  })

async function knowsComment(comment: string): Promise<void> {
  await expect
    .poll(async () => (await query(server.url, '{ watchedTables { comment } }')).watchedTables)
    .toContainEqual({ comment })
}

let rounds = 0
beforeEach(async () => {
  const comment = `round ${++rounds}`
  await log.query(`drop table if exists people cascade;
    create table people (pk int primary key, name text, age int, score numeric, visits bigint not null default 0);
    comment on table people is '${comment}'`)
  await log.watch('people')
  await knowsComment(comment)
})

async function fields({ url }: ListenqlServer): Promise<string[]> {
  const data = await query(url, '{ __schema { subscriptionType { fields { name } } } }')
  const { fields } = (data.__schema as { subscriptionType: { fields: { name: string }[] } }).subscriptionType
  return fields.map(({ name }) => name)
}

const PEOPLE = `subscription ($where: PeopleFilter, $operations: [Operation!], $after: String) {
  peopleChanged(where: $where, operations: $operations, after: $after) {
    operation cursor key { pk } row { pk name age score visits } old { name } transaction
  }
}`

interface Change {
  readonly operation: string
  readonly cursor: string
  readonly key: { pk: number } | null
  readonly row: Record<string, unknown> | null
  readonly old: Record<string, unknown> | null
  readonly transaction: string
}

async function next(subscription: TestSubscription): Promise<Change> {
  return dataOf(await subscription.results.next('a change')).peopleChanged as Change
}

/** `I 1 Paul`, `U 1 Paul -> Paula`, `U 1 Paul -> gone`, `D 1 Paul -> gone`, `T`. */
function words({ operation, key, row, old }: Change): string {
  const names = [old && String(old.name), row ? String(row.name) : key && 'gone'].filter(Boolean)
  return [operation[0], key?.pk, names.join(' -> ')].join(' ').trim()
}

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('%s', (_transport, subscribe) => {
  it('delivers the changes of a table, and resumes after any cursor', async () => {
    const subscription = await subscribe(server.url, PEOPLE)
    await log.query(
      `insert into people values (1, 'Paul', 51, 1.50, 9007199254740993), (2, 'Ada', 36, null, 0)`,
    )
    await log.query(`update people set name = 'Paula' where pk = 1`)
    await log.query('delete from people where pk = 2')
    await log.query('update people set pk = 3')
    await log.query('truncate people')
    const changes: Change[] = []
    while (changes.length < 7) changes.push(await next(subscription))
    const all = [
      'I 1 Paul',
      'I 2 Ada',
      'U 1 Paul -> Paula',
      'D 2 Ada -> gone',
      'D 1 Paula -> gone',
      'I 3 Paula',
      'T',
    ]
    expect(changes.map(words).sort()).toEqual([...all].sort())
    expect(changes.map(words).at(-1)).toBe('T')
    expect(changes[0]?.row).toEqual({
      pk: 1,
      name: 'Paul',
      age: 51,
      score: '1.50',
      visits: '9007199254740993',
    })
    expect(changes[0]?.transaction).toBe(changes[1]?.transaction)
    await subscription.close()
    for (const [i, change] of changes.entries()) {
      const resumed = await subscribe(server.url, PEOPLE, { after: change.cursor })
      const rest: Change[] = []
      while (rest.length < changes.length - i - 1) rest.push(await next(resumed))
      expect(rest).toEqual(changes.slice(i + 1))
      await resumed.close()
    }
  })

  it('keeps a filtered list right: a row that leaves it arrives as null, a row that was never in it does not arrive', async () => {
    const subscription = await subscribe(server.url, PEOPLE, { where: { age: { gte: 18 } } })
    await log.query(`insert into people values (1, 'child', 7)`)
    await log.query(`update people set age = 8`)
    await log.query(`update people set age = 18`)
    await log.query(`update people set age = 19, name = 'grown'`)
    await log.query(`update people set age = null`)
    await log.query(`delete from people`)
    await log.query(`truncate people`)
    expect(words(await next(subscription))).toBe('U 1 child -> child')
    expect(words(await next(subscription))).toBe('U 1 child -> grown')
    expect(words(await next(subscription))).toBe('U 1 grown -> gone')
    expect(words(await next(subscription))).toBe('T')
    await subscription.close()
  })

  it('delivers only the requested operations', async () => {
    const subscription = await subscribe(server.url, PEOPLE, { operations: ['DELETE'] })
    await log.query(`insert into people values (1, 'Paul'); delete from people; truncate people`)
    await log.query(`insert into people values (2, 'Ada'); delete from people`)
    expect(words(await next(subscription))).toBe('D 1 Paul -> gone')
    expect(words(await next(subscription))).toBe('D 2 Ada -> gone')
    await subscription.close()
  })

  it('refuses an invalid cursor and an invalid filter', async () => {
    const invalid = await subscribe(server.url, PEOPLE, { after: 'nonsense' })
    expect(codeOf(await invalid.results.next())).toBe('CURSOR_INVALID')
    const filter = await subscribe(server.url, PEOPLE, { where: { age: { eq: null } } })
    expect(codeOf(await filter.results.next())).toBe('FILTER_INVALID')
    await invalid.close()
    await filter.close()
  })

  it('ends with an error when the table is unwatched', async () => {
    const subscription = await subscribe(server.url, PEOPLE)
    await log.query(`insert into people values (1, 'last')`)
    expect(words(await next(subscription))).toBe('I 1 last')
    await log.query(`select listenql.unwatch('people')`)
    expect(codeOf(await subscription.results.next('the end'))).toBe('SCHEMA_CHANGED')
    await subscription.close()
  })
})

describe('a subscription to a table that is altered', () => {
  it('continues if it is still valid, and misses nothing', async () => {
    const subscription = await overGraphqlWs(server.url, PEOPLE)
    const expected: string[] = []
    for (let i = 0; i < 10; i++) {
      await log.query('insert into people (pk, name) values ($1, $2)', [i, `n${i}`])
      await log.query(`alter table people add column extra${i} int not null default ${i}`)
      await log.query('insert into people (pk, name) values ($1, $2)', [100 + i, `m${i}`])
      expected.push(`I ${i} n${i}`, `I ${100 + i} m${i}`)
    }
    const received: string[] = []
    while (received.length < expected.length) received.push(words(await next(subscription)))
    expect(received).toEqual(expected)
    const found = await query(server.url, '{ people(limit: 1) { rows { pk extra9 } } }')
    expect(found.people).toEqual({ rows: [{ pk: 0, extra9: 9 }] })
    await subscription.close()
  })

  it('ends with a clear error if it selects a dropped column; a subscription that does not continues', async () => {
    const asks = await overSse('POST')(server.url, 'subscription { peopleChanged { row { age } } }')
    const asksNot = await overSse('POST')(server.url, 'subscription { peopleChanged { row { name } } }')
    await log.query('alter table people drop column age')
    const result = await asks.results.next('the end')
    expect(codeOf(result)).toBe('SCHEMA_CHANGED')
    expect(JSON.stringify(result)).toContain('age')
    expect(await asks.ended).toBe('complete')
    await log.query(`insert into people (pk, name) values (1, 'Paul')`)
    expect(dataOf(await asksNot.results.next())).toEqual({ peopleChanged: { row: { name: 'Paul' } } })
    await asksNot.close()
  })

  it('ends with CURSOR_EXPIRED if the triggers were disabled in between', async () => {
    const subscription = await overGraphqlWs(server.url, PEOPLE)
    await log.query(`alter table people disable trigger all; insert into people values (1, 'unseen');
      alter table people enable trigger all`)
    expect(codeOf(await subscription.results.next('the end'))).toBe('CURSOR_EXPIRED')
    await subscription.close()
  })

  it('cannot resume from a cursor before the change', async () => {
    const subscription = await overGraphqlWs(server.url, PEOPLE)
    await log.query(`insert into people values (1, 'Paul')`)
    const { cursor } = await next(subscription)
    await log.query('alter table people add column extra int')
    await log.refresh()
    // The server shows a new column even before the refresh that begins a new history, but a later comment only after it.
    await log.query(`comment on table people is 'altered'`)
    await knowsComment('altered')
    const late = await overGraphqlWs(server.url, PEOPLE, { after: cursor })
    expect(codeOf(await late.results.next())).toBe('CURSOR_EXPIRED')
    await subscription.close()
  })
})

it('a snapshot and the changes after it add up to the table while other sessions write', async () => {
  const writing = { on: true }
  const writers = [1, 2, 3].map(async writer => {
    for (let i = 0; writing.on; i++) {
      const pk = (i * 7 + writer) % 40
      await log.query(
        i % 5 === 0
          ? 'delete from people where pk = $1 and $2::text is not null'
          : 'insert into people (pk, name) values ($1, $2) on conflict (pk) do update set name = excluded.name',
        [pk, `${writer}:${i}`],
      )
    }
  })
  const lists: Map<number, unknown>[] = []
  const subscriptions: TestSubscription[] = []
  for (let i = 0; i < 8; i++) {
    const { people } = await query(server.url, '{ people(limit: 1000) { cursor rows { pk name } } }')
    const { cursor, rows } = people as { cursor: string; rows: { pk: number; name: string }[] }
    const list = new Map<number, unknown>(rows.map(({ pk, name }) => [pk, name]))
    const subscription = await overGraphqlWs(
      server.url,
      'subscription ($after: String) { peopleChanged(after: $after) { operation key { pk } row { name } old { name } } }',
      { after: cursor },
    )
    lists.push(list)
    subscriptions.push(subscription)
  }
  writing.on = false
  await Promise.all(writers)
  await log.query(`insert into people values (1000, 'end')`)
  const expected = new Map((await log.query('select pk, name from people')).map(({ pk, name }) => [pk, name]))
  for (const [i, subscription] of subscriptions.entries()) {
    const list = lists[i] as Map<number, unknown>
    for (;;) {
      const { key, row, old } = dataOf(await subscription.results.next()).peopleChanged as Change
      const pk = (key as { pk: number }).pk
      // Each change finds the list as expected: nothing is missing or duplicated.
      expect(list.get(pk)).toBe(old?.name ?? undefined)
      if (row) list.set(pk, row.name)
      else list.delete(pk)
      if (pk === 1000) break
    }
    expect(list).toEqual(expected)
    await subscription.close()
  }
})

it('a subscription continues on another server, and after a restart of its own server', async () => {
  const other = await startServer()
  const first = await overGraphqlWs(server.url, PEOPLE)
  await log.query(`insert into people values (1, 'one')`)
  const { cursor } = await next(first)
  await log.query(`insert into people values (2, 'two')`)
  const second = await overSse('GET')(other.url, PEOPLE, {}, { after: cursor })
  expect(words(await next(second))).toBe('I 2 two')
  const position = second.position?.() ?? ''
  await other.close()
  await log.query(`insert into people values (3, 'three')`)
  const again = await startServer()
  const third = await overGraphqlWs(again.url, PEOPLE, {}, { after: position })
  expect(words(await next(third))).toBe('I 3 three')
  await third.close()
  await again.close()
  await first.close()
})

it('names that are invalid in GraphQL get replacements, with a warning', async () => {
  await log.query('create table "Odd name!" ("1st" int primary key, "and" text)')
  await log.watch('"Odd name!"')
  await expect.poll(() => fields(server)).toContain('oddNameChanged')
  expect(renamed.join('\n')).toContain('1st')
  const subscription = await overGraphqlWs(
    server.url,
    'subscription { oddNameChanged { row { _1st and_ } } }',
  )
  await log.query(`insert into "Odd name!" values (1, 'x')`)
  expect(dataOf(await subscription.results.next())).toEqual({
    oddNameChanged: { row: { _1st: 1, and_: 'x' } },
  })
  await subscription.close()
})
