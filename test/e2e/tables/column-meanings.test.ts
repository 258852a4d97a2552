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
  create domain short as varchar(10);
  create type point2 as (x int, y int); create domain places as point2[]`
const TABLE = `create table t (id int primary key, name text, v int not null default 1, w int not null default 2, text text default 'abcdef',
  cut varchar(10) default 'abcdef', amount numeric(10, 2) default 1.25, m mood default 'sad', ms mood[] default '{sad}', d temper default 'sad',
  at timestamp(3) default '2024-02-03 04:05:06.789', took interval(3) default '1.5 s', bits bit varying(4) default '101',
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
  await log.query(
    'drop table t; drop domain if exists tiny; drop domain temper, whole, places, short; drop type mood, point2',
  )
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
    // A minor release that marks all later columns as altered hides which of them were.
    what: 'values are rewritten, of a later column first',
    sql: 'alter table t alter amount type numeric(10, 2) using amount * 2; alter table t alter v type int using v * 100',
    fields: ['v', 'amount'],
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
    what: 'a larger scale',
    sql: 'alter table t alter amount type numeric(12, 4)',
    fields: ['amount'],
    where: 'amount: {gt: "1"}',
  },
  {
    what: 'a narrower numeric',
    sql: 'alter table t alter amount type numeric(12, 1)',
    fields: ['amount'],
    where: 'amount: {gt: "1"}',
  },
  {
    what: 'a smaller precision of time',
    sql: 'alter table t alter at type timestamp(0)',
    fields: ['at'],
    where: 'at: {isNull: false}',
  },
  {
    what: 'a smaller precision of an interval',
    sql: 'alter table t alter took type interval(0)',
    fields: ['took'],
    where: 'took: {isNull: false}',
  },
  {
    what: 'fewer bits',
    sql: 'alter table t alter bits drop default, alter bits type bit varying(2) using bits::bit varying(2)',
    fields: ['bits'],
    where: 'bits: {isNull: false}',
  },
  {
    what: 'a shorter length, then a longer one',
    sql: 'alter table t alter cut drop default, alter cut type varchar(3) using left(cut, 3); alter table t alter cut type varchar(30)',
    fields: ['cut'],
    where: 'cut: {like: "a%"}',
  },
  {
    what: 'a shorter length by a domain',
    sql: 'create domain tiny as varchar(3); alter table t alter cut drop default, alter cut type tiny using left(cut, 3)',
    fields: ['cut'],
    where: 'cut: {like: "a%"}',
  },
  {
    what: 'a type of fixed length',
    sql: 'alter table t alter cut type char(10)',
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
      const documents = [
        ...fields.map(field => `subscription { tChanged { row { ${field} } } }`),
        `subscription { tChanged { old { id ${first} } } }`,
        `subscription { tChanged(where: {not: {${where}}}) { row { name } } }`,
      ]
      const concerned = await Promise.all(documents.map(document => live.subscribe(document)))
      const bystander = await live.subscribe(NAME)
      const filtered = await live.subscribe(
        'subscription { tChanged(where: {name: {eq: "after"}}) { row { name } } }',
      )
      const after = await live.cursor('t')
      await log.query(sql)
      for (const subscription of concerned) expect(await endOf(subscription)).toBe('CURSOR_EXPIRED')
      await log.query(`insert into t (id, name) values (2, 'after')`)
      expect(await name(bystander)).toEqual({ name: 'after' })
      expect(await name(filtered)).toEqual({ name: 'after' })
      for (const document of [...documents, NAME])
        expect(await live.refusal(document, after)).toBe('CURSOR_EXPIRED')
      const fresh = await live.subscribe(NAME, { after: await live.cursor('t') })
      await log.query(`update t set name = 'later' where id = 2`)
      expect(await name(fresh)).toEqual({ name: 'later' })
      for (const subscription of [bystander, filtered, fresh]) await subscription.close()
    },
  )

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

const WIDENED: readonly (readonly [what: string, field: string, where: string, types: readonly string[]])[] =
  [
    ['a longer varchar', 'cut', 'like: "abc%"', ['varchar(20)', 'varchar', 'text', 'varchar']],
    ['a domain, and its base type', 'cut', 'like: "abc%"', ['short', 'text']],
    ['a larger precision', 'amount', 'eq: "1.25"', ['numeric(12, 2)', 'numeric']],
    ['a larger precision of time', 'at', 'eq: "2024-02-03T04:05:06.789"', ['timestamp(6)', 'timestamp']],
    ['a larger precision of an interval', 'took', 'eq: "PT1.5S"', ['interval(6)', 'interval']],
    ['more bits', 'bits', 'isNull: false', ['bit varying(8)', 'bit varying']],
  ]

describe('every subscription continues when a column gets a wider type', () => {
  it.each(WIDENED)('%s', async (_what, field, where, types) => {
    const streams = [
      await live.subscribe(`subscription { tChanged { key { id } row { ${field} } old { ${field} } } }`),
      await live.subscribe(`subscription { tChanged(where: {${field}: {${where}}}) { row { ${field} } } }`),
    ]
    await log.query('update t set w = w')
    const { [field]: value } = (await nextChange(streams[0] as TestSubscription)).row as Record<
      string,
      unknown
    >
    expect((await nextChange(streams[1] as TestSubscription)).row).toEqual({ [field]: value })
    for (const type of types) {
      await log.query(`alter table t alter ${field} type ${type}`)
      await log.query('update t set w = w')
      const [all, some] = await Promise.all(streams.map(nextChange))
      expect(all).toEqual({ key: { id: 1 }, row: { [field]: value }, old: { [field]: value } })
      expect(some?.row).toEqual({ [field]: value })
    }
    for (const stream of streams) await stream.close()
  })
})

it('a virtual column of a partition has the expression of the root, as in a snapshot, whatever that of the partition is', async context => {
  if (version < 180000) return context.skip(true, 'Postgres has no virtual columns before 18')
  await log.query(`create table p (id int primary key, base int, g int generated always as (base + 1) virtual) partition by list (id);
    create table p1 (base int, id int not null, g int generated always as (base + 50) virtual);
    alter table p attach partition p1 for values in (1)`)
  await log.watch('p')
  try {
    await live.ready('{ p { cursor } }')
    const stream = await live.subscribe('subscription { pChanged { row { g } } }')
    const written = async (sql: string) => {
      await log.query(sql)
      return (await nextChange(stream)).row
    }
    expect(await written('insert into p1 (id, base) values (1, 1)')).toEqual({ g: 2 })
    await log.query('alter table p1 alter g set expression as (base + 100)')
    expect(await written('update p1 set base = 2')).toEqual({ g: 3 })
    expect(await written('update p set base = 3')).toEqual({ g: 4 })
    expect(await live.ready('{ p { rows { g } } }')).toEqual({ p: { rows: [{ g: 4 }] } })
    await stream.close()
  } finally {
    await log.query(`select listenql.unwatch('p'); drop table p`)
  }
})

const TREE_CHANGES = [
  ['a partition', 'p1', 170000],
  ['a child', 'p1', 170000],
  ['the child of a child', 'p11', 170000],
] as const

describe('a generated column of a tree', () => {
  afterEach(() => log.query(`select listenql.unwatch('p'); drop table p cascade`))

  it.each(TREE_CHANGES)(
    'with another expression in %s: ends the subscriptions that use it',
    async (what, part, since) => {
      const sql = `alter table ${part} alter g set expression as (base + 100)`
      const column = `g int generated always as (base + 1) stored`
      await log.query(
        what.startsWith('a partition')
          ? `create table p (id int primary key, name text, base int default 1, ${column}) partition by list (id);
           create table p1 partition of p for values in (1); create table p2 partition of p for values in (2)`
          : `create table p (id int, name text, base int default 1, ${column}); create table p1 (extra int) inherits (p); create table p11 () inherits (p1)`,
      )
      await log.watch('p')
      if (version < since) return expect(log.query(sql)).rejects.toThrow() // this Postgres has no such statement
      await live.ready('{ p { cursor rows { g } } }')
      const concerned = [
        await live.subscribe('subscription { pChanged { row { g } } }'),
        await live.subscribe('subscription { pChanged(where: {g: {gt: 1}}) { row { name } } }'),
      ]
      const bystander = await live.subscribe('subscription { pChanged { row { name } } }')
      const after = await live.cursor('p')
      await log.query(sql)
      for (const subscription of concerned) expect(await endOf(subscription)).toBe('CURSOR_EXPIRED')
      await log.query(
        `insert into ${what.startsWith('a partition') ? 'p' : part} (id, name) values (1, 'after')`,
      )
      expect(await name(bystander)).toEqual({ name: 'after' })
      expect(await live.refusal('subscription { pChanged { row { g } } }', after)).toBe('CURSOR_EXPIRED')
      const fresh = await live.subscribe('subscription { pChanged { row { g } } }', {
        after: await live.cursor('p'),
      })
      await log.query('update p set base = 5')
      expect((await nextChange(fresh)).row).toEqual({ g: 105 })
      for (const subscription of [bystander, fresh]) await subscription.close()
    },
  )
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
