import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestSubscription } from '../../support/clients.js'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let live: Live
let version: number
beforeAll(async () => {
  log = await createLog()
  version = Number((await log.query('show server_version_num'))[0]?.server_version_num)
})
afterAll(() => log.close())

const TYPES = `create type mood as enum ('sad', 'happy'); create domain temper as mood; create domain whole as int not null;
  create type point2 as (x int, y int); create domain places as point2[]`
const TABLE = `create table t (id int primary key, name text, v int not null default 1, w int not null default 2, text text default 'abcdef',
  cut varchar(10) default 'abcdef', amount numeric(10, 2) default 1.25, m mood default 'sad', ms mood[] default '{sad}', d temper default 'sad',
  p point2 default '(1,2)', ps places default '{"(1,2)"}', dom whole default 1, base int default 1, g int generated always as (base + 1) stored)`

beforeEach(async () => {
  await log.query(`${TYPES}; ${TABLE}; insert into t (id, name) values (1, 'first')`)
  if (version >= 180000)
    await log.query('alter table t add column vg int generated always as (base * 10) virtual')
  await log.watch('t')
  live = await createLive(log)
  await live.ready('{ t { cursor rows { dom } } }')
})
afterEach(async () => {
  await live.close()
  await log.query(`select listenql.unwatch(relid) from listenql.watched`)
  await log.query('drop table t; drop domain temper, whole, places; drop type mood, point2')
})

const NAME = 'subscription { tChanged { row { name } } }'
const name = (subscription: TestSubscription) => nextChange(subscription).then(({ row }) => row)

interface Change {
  readonly what: string
  readonly sql: string
  /** Fields whose values mean something else after the statement. */
  readonly fields: readonly string[]
  /** A condition on the first of them. */
  readonly where?: string
  readonly since?: number
}

const CHANGES: readonly Change[] = [
  {
    what: 'values are rewritten',
    sql: 'alter table t alter v type int using v * 100',
    fields: ['v'],
    where: 'v: {eq: 1}',
  },
  {
    what: 'another type',
    sql: `alter table t alter text type varchar using text || '!'`,
    fields: ['text'],
    where: 'text: {eq: "a"}',
  },
  {
    what: 'a narrower scale',
    sql: 'alter table t alter amount type numeric(10, 0)',
    fields: ['amount'],
    where: 'amount: {gt: "1"}',
  },
  {
    what: 'a shorter length',
    sql: 'alter table t alter cut drop default, alter cut type varchar(3) using left(cut, 3)',
    fields: ['cut'],
    where: 'cut: {like: "a%"}',
  },
  {
    what: 'two columns that swap their names',
    sql: 'begin; alter table t rename v to x; alter table t rename w to v; alter table t rename x to w; commit',
    fields: ['v', 'w'],
    where: 'v: {isNull: false}',
  },
  {
    what: 'a column that is dropped and added again',
    sql: 'alter table t drop w; alter table t add w int not null default 9',
    fields: ['w'],
    where: 'w: {in: [1]}',
  },
  {
    what: 'a label that is renamed',
    sql: `alter type mood rename value 'sad' to 'blue'`,
    fields: ['m', 'ms', 'd'],
    where: 'm: {eq: happy}',
  },
  {
    what: 'labels that swap their names',
    sql: `alter type mood rename value 'sad' to 'x'; alter type mood rename value 'happy' to 'sad'; alter type mood rename value 'x' to 'happy'`,
    fields: ['m', 'ms', 'd'],
    where: 'm: {eq: happy}',
  },
  {
    what: 'a field that a composite gets',
    sql: 'alter type point2 add attribute z int',
    fields: ['p', 'ps'],
    where: 'p: {isNull: false}',
  },
  {
    what: 'another collation',
    sql: 'alter table t alter text type text collate "POSIX"',
    fields: ['text'],
    where: 'text: {eq: "a"}',
  },
  {
    what: 'another expression',
    sql: 'alter table t alter g set expression as (base + 2)',
    fields: ['g'],
    where: 'g: {gt: 1}',
    since: 170000,
  },
  {
    what: 'another expression of a virtual column',
    sql: 'alter table t alter vg set expression as (base * 20)',
    fields: ['vg'],
    where: 'vg: {gt: 1}',
    since: 180000,
  },
]

describe('a change of what values mean', () => {
  it.each(CHANGES)(
    '$what: ends the subscriptions that select or filter by the fields, and no others',
    async ({ sql, fields, where, since = 0 }) => {
      if (version < since) return expect(log.query(sql)).rejects.toThrow() // this Postgres has no such statement
      const [first] = fields
      const concerned = [
        ...(await Promise.all(
          fields.map(field => live.subscribe(`subscription { tChanged { row { ${field} } } }`)),
        )),
        await live.subscribe(`subscription { tChanged { old { id ${first} } } }`),
        await live.subscribe(`subscription { tChanged(where: {not: {${where}}}) { row { name } } }`),
      ]
      const bystander = await live.subscribe(NAME)
      const filtered = await live.subscribe(
        'subscription { tChanged(where: {name: {eq: "after"}}) { row { name } } }',
      )
      const after = await live.cursor('t')
      await log.query(sql)
      for (const subscription of concerned)
        expect(await endOf(subscription)).toMatch(/^(CURSOR_EXPIRED|SCHEMA_CHANGED)$/)
      await log.query(`insert into t (id, name) values (2, 'after')`)
      expect(await name(bystander)).toEqual({ name: 'after' })
      expect(await name(filtered)).toEqual({ name: 'after' })
      expect(await live.refusal(NAME, after)).toBe('CURSOR_EXPIRED')
      const fresh = await live.subscribe(NAME, { after: await live.cursor('t') })
      await log.query(`update t set name = 'later' where id = 2`)
      expect(await name(fresh)).toEqual({ name: 'later' })
      for (const subscription of [bystander, filtered, fresh]) await subscription.close()
    },
  )

  it('ends subscriptions with CURSOR_EXPIRED if the operation remains valid', async () => {
    const stream = await live.subscribe('subscription { tChanged { row { v } } }')
    await log.query('alter table t alter v type int using v * 100')
    expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
  })

  it('ends subscriptions that select the key if the key changes', async () => {
    const keyed = await live.subscribe('subscription { tChanged { key { id } row { name } } }')
    const bystander = await live.subscribe(NAME)
    await log.query(
      `alter table t alter name set not null, drop constraint t_pkey, add primary key (id, name)`,
    )
    expect(await endOf(keyed)).toBe('CURSOR_EXPIRED')
    await log.query(`insert into t (id, name) values (2, 'after')`)
    expect(await name(bystander)).toEqual({ name: 'after' })
    await bystander.close()
  })
})

describe('every subscription continues when', () => {
  it.each([
    ['a column is added', 'alter table t add extra int default 5'],
    ['a column is added with a value for each row', 'alter table t add extra float default random()'],
    ['an enum label is added', `alter type mood add value 'fine' before 'happy'`],
    ['a default is set', 'alter table t alter v set default 7'],
    ['a column becomes nullable', 'alter table t alter v drop not null'],
    ['a column becomes NOT NULL', 'alter table t alter name set not null'],
    ['a domain allows null', 'alter domain whole drop not null'],
    ['a domain gets a constraint', 'alter domain whole add check (value > 0)'],
    [
      'statistics settings change, and the table is rewritten',
      'alter table t alter v set statistics 100; vacuum full t',
    ],
    ['a check constraint is added', 'alter table t add check (v > 0)'],
    ['a type is renamed', 'alter type point2 rename to point3; alter type point3 rename to point2'],
    ['an unused column is retyped', 'alter table t alter text type varchar'],
  ])('%s', async (_what, sql) => {
    const streams = [
      await live.subscribe('subscription { tChanged { key { id } row { name v m dom p } } }'),
      await live.subscribe(
        'subscription { tChanged(where: {v: {gt: 0}, m: {eq: sad}}) { row { name v m dom p } } }',
      ),
    ]
    for (const statement of sql.split(';')) await log.query(statement)
    await log.query(`insert into t (id, name, v, dom) values (2, 'after', 3, 4)`)
    for (const stream of streams) {
      expect((await nextChange(stream)).row).toEqual({ name: 'after', v: 3, m: 'sad', dom: 4, p: '(1,2)' })
      await stream.close()
    }
  })
})

describe('a null in a field that is non-null in the schema', () => {
  it('of a domain that has just become nullable: the row arrives with the null', async () => {
    const stream = await live.subscribe('subscription { tChanged { operation row { id dom } } }')
    await log.query('alter domain whole drop not null; update t set dom = null')
    expect(await nextChange(stream)).toEqual({ operation: 'UPDATE', row: { id: 1, dom: null } })
    await stream.close()
  })

  it('of a column that has just become nullable: the row arrives with the null', async () => {
    const stream = await live.subscribe('subscription { tChanged { operation row { id v } } }')
    await log.query('alter table t alter v drop not null; update t set v = null')
    expect(await nextChange(stream)).toEqual({ operation: 'UPDATE', row: { id: 1, v: null } })
    await stream.close()
  })

  it('of a NOT NULL domain, which Postgres lets through in a subquery', async () => {
    const stream = await live.subscribe('subscription { tChanged { operation row { id dom } } }')
    await log.query('insert into t (id, dom) values (2, (select dom from t where false))')
    expect(await nextChange(stream)).toEqual({ operation: 'INSERT', row: { id: 2, dom: null } })
    await stream.close()
  })
})
