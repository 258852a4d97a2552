import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLog, lines, refusal, type TestLog } from '../support/log.js'
import type { Row } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())
beforeEach(async () => {
  await log.query('drop table if exists t cascade; create table t (id int primary key, v text)')
  await log.watch('t')
  await log.fresh()
})

const state = async (table = 't'): Promise<Row> =>
  (
    await log.query(
      'select generation, since_n::int, key_columns from listenql.watched where table_name = $1',
      [table],
    )
  )[0] ?? {}
const generation = async (table = 't') => Number((await state(table)).generation)

/**
 * Runs SQL, refreshes the catalogue, and returns by how much the generation of t has grown and whether its
 * history is whole.
 */
async function altered(sql: string): Promise<{ grown: number; whole: boolean; changes: unknown[] }> {
  const before = await state()
  await log.query(sql)
  const changes = (await log.refresh()).map(row => row.change)
  const now = await state()
  if (now.since_n !== null && now.generation !== before.generation)
    expect(now.since_n).toBeGreaterThan(Number(before.since_n ?? 0))
  return { grown: Number(now.generation) - Number(before.generation), whole: now.since_n !== null, changes }
}
const one = { grown: 1, whole: true, changes: ['generation'] }
const none = { grown: 0, whole: true, changes: [] }

describe('a new generation starts', () => {
  it.each([
    ['a column is added', 'alter table t add column w int'],
    ['a column is dropped', 'alter table t drop column v'],
    ['a column is renamed', 'alter table t rename column v to w'],
    ['a column is retyped', 'alter table t alter v type int using 1'],
    ['a column becomes NOT NULL', 'alter table t alter v set not null'],
    ['the key is dropped', 'alter table t drop constraint t_pkey'],
    [
      'a trigger is disabled and enabled between two refreshes',
      'alter table t disable trigger all; alter table t enable trigger all',
    ],
    ['a trigger is dropped', 'drop trigger listenql_update on t'],
    ['a child appears', 'create table child () inherits (t)'],
  ])('when %s', async (_, sql) => {
    expect(await altered(sql)).toEqual(one)
    expect(await log.refresh()).toEqual([])
    await log.query('insert into t (id) values (1)').catch(() => log.query(`insert into t values (1, 'x')`))
    expect((await log.fresh()).at(-1)).toMatchObject({ operation: 'I', generation: await generation() })
    await log.query('drop table if exists child')
  })

  it.each([
    ['no change', 'select 1'],
    ['new statistics', 'analyze t'],
    ['a new index', 'create index on t (v)'],
    ['a comment', `comment on column t.v is 'x'`],
    [
      'a trigger of the application',
      'create function f() returns trigger language plpgsql as $$ begin return null; end $$; create trigger f after insert on t execute function f()',
    ],
    ['a storage parameter', 'alter table t set (fillfactor = 50)'],
  ])('but not after %s', async (_, sql) => {
    expect(await altered(sql)).toEqual(none)
    await log.query('drop function if exists f cascade')
  })

  it('only after a disabled trigger is enabled, and the table has no history until then', async () => {
    expect(await altered('alter table t disable trigger listenql_insert')).toEqual({
      grown: 1,
      whole: false,
      changes: ['generation', 'lacking'],
    })
    expect(await altered('select 1')).toMatchObject({ grown: 0, whole: false })
    expect(await altered('alter table t enable trigger listenql_insert')).toMatchObject({
      grown: 1,
      whole: true,
    })
  })

  it('with unwatch and watch', async () => {
    const before = await state()
    await log.query(`select listenql.unwatch('t')`)
    await log.query(`insert into t values (1, 'not logged')`)
    expect(await state()).toEqual({})
    expect(await log.fresh()).toEqual([])
    await log.watch('t')
    const now = await state()
    expect(Number(now.generation)).toBeGreaterThan(Number(before.generation))
    expect(Number(now.since_n)).toBeGreaterThan(Number(before.since_n))
    // No client can hold a position at or after its beginning that was issued before the gap.
    expect((await log.newest()).n).toBe(Number(now.since_n))
  })

  it('when a table is dropped and created again', async () => {
    const before = await generation()
    await log.query('drop table t')
    expect((await log.refresh()).map(row => row.change)).toEqual(['gone'])
    expect(await log.refresh()).toEqual([])
    await log.query('create table t (id bigint primary key, other text)')
    expect((await log.refresh()).map(row => row.change)).toEqual(['again', 'generation'])
    expect(await generation()).toBeGreaterThan(before)
    await log.query(`insert into t values (1, 'x')`)
    expect(lines(await log.fresh())).toEqual(['I {"id":1,"other":"x"}'])
    expect(
      await log.query(
        `select count(*)::int from pg_proc where proname ~ '^capture_[0-9]+$' and pronamespace = 'listenql'::regnamespace`,
      ),
    ).toEqual([{ count: 1 }])
  })
})

describe('a follower of a table', () => {
  const missed = async (sql: string): Promise<boolean> => {
    const whole = async () =>
      Number(
        (await log.query(`select whole_from from listenql.watched where table_name = 't'`))[0]?.whole_from,
      )
    const before = await generation()
    await log.query(sql)
    await log.refresh()
    return (await whole()) > before
  }

  it.each([
    ['a column is added', 'alter table t add w int'],
    ['a column is renamed', 'alter table t rename v to w'],
    ['the key is dropped', 'alter table t drop constraint t_pkey'],
    ['a comment is written', `comment on table t is 'x'`],
  ])('has missed nothing when %s', async (_what, sql) => {
    expect(await missed(sql)).toBe(false)
  })

  it.each([
    ['a trigger was disabled', 'alter table t disable trigger all; alter table t enable trigger all'],
    ['a trigger was dropped', 'drop trigger listenql_update on t'],
    ['the table was unwatched for a moment', `select listenql.unwatch('t'); select listenql.watch('t')`],
    [
      'a trigger was disabled and a column added',
      'alter table t disable trigger all; alter table t enable trigger all; alter table t add w int',
    ],
  ])('may have missed something when %s', async (_what, sql) => {
    expect(await missed(sql)).toBe(true)
  })
})

describe('between ALTER TABLE and the next refresh of the catalogue', () => {
  it('writes continue with the new columns and carry the next generation', async () => {
    const warm = await log.connect()
    await warm.query(`insert into t values (1, 'a')`)
    const [first] = await log.fresh()
    for (const [sql, insert, image] of [
      ['alter table t rename v to w', `insert into t values (2, 'b')`, '{"id":2,"w":"b"}'],
      ['alter table t add x int default 7', `insert into t values (3, 'c')`, '{"id":3,"w":"c","x":7}'],
      ['alter table t drop w', 'insert into t values (4)', '{"id":4,"x":7}'],
      ['alter table t alter x type text', `insert into t values (5)`, '{"id":5,"x":"7"}'],
      ['alter table t drop constraint t_pkey', `insert into t values (5)`, '{"id":5,"x":"7"}'],
    ] as const) {
      await log.query(sql)
      await warm.query(insert)
      expect(await log.fresh()).toMatchObject([{ new: image, generation: (first?.generation ?? 0) + 1 }])
    }
    await warm.query('update t set x = 8 where id = 5') // two rows with one key are paired by position
    expect(lines(await log.fresh())).toEqual(Array(2).fill('U {"id":5,"x":"7"} -> {"id":5,"x":"8"}'))
    await log.refresh()
    expect(await generation()).toBe((first?.generation ?? 0) + 1)
  })

  it('writes in the transaction of the ALTER TABLE itself carry the next generation', async () => {
    await log.query(
      `begin; insert into t values (1, 'a'); alter table t add w int; insert into t values (2, 'b', 3); alter table t drop v; update t set w = 4; commit`,
    )
    const events = await log.fresh()
    expect(lines(events)).toEqual([
      'I {"id":1,"v":"a"}',
      'I {"id":2,"v":"b","w":3}',
      'U {"id":1,"w":null} -> {"id":1,"w":4}',
      'U {"id":2,"w":3} -> {"id":2,"w":4}',
    ])
    const g = await generation()
    expect(events.map(event => event.generation)).toEqual([g, g + 1, g + 1, g + 1])
  })

  it('a rename that is reverted before the refresh starts a generation once refresh gets that of the logged event', async () => {
    const [relid] = await log.query(`select 't'::regclass::oid as oid`)
    const g = await generation()
    await log.query(`alter table t rename v to w; insert into t values (1, 'a'); alter table t rename w to v`)
    expect((await log.fresh()).map(event => event.generation)).toEqual([g + 1])
    expect(await log.refresh()).toEqual([])
    await log.query('select * from listenql.refresh($1, $2)', [relid?.oid, g + 1])
    expect(await generation()).toBe(g + 1)
    expect(await log.query('select * from listenql.refresh($1, $2)', [relid?.oid, g + 1])).toEqual([])
  })

  it('a REPEATABLE READ write with a snapshot from before a rename must be retried; a new one logs the new name', async () => {
    const client = await log.connect()
    await client.query('begin isolation level repeatable read; select 1')
    await log.query('alter table t rename v to w')
    expect(await refusal(client.query(`insert into t values (1, 'a')`))).toBe('40001')
    await client.query('rollback')
    await client.query(`begin isolation level repeatable read; insert into t values (1, 'a'); commit`)
    expect(lines(await log.fresh())).toEqual(['I {"id":1,"w":"a"}'])
  })
})

describe('several servers', () => {
  it('that refresh at once start one generation', async () => {
    const g = await generation()
    await log.query('alter table t add w int')
    const clients = await Promise.all(Array.from({ length: 5 }, () => log.connect()))
    const answers = await Promise.all(clients.map(client => client.query('select * from listenql.refresh()')))
    expect(answers.flatMap(answer => answer.rows).length).toBe(1)
    expect(await generation()).toBe(g + 1)
  })
})

describe('partitions', () => {
  beforeEach(async () => {
    await log.query(`drop table if exists p cascade; drop table if exists p9, p9x;
      create table p (region int, id int, v text, primary key (region, id)) partition by list (region);
      create table p1 partition of p for values in (1);
      create table p2 (v text, id int not null, gone int, region int not null); alter table p2 drop column gone;
      alter table p attach partition p2 for values in (2);
      create table p3 partition of p for values in (3, 4) partition by list (region);
      create table p3a partition of p3 for values in (3)`)
    await log.watch('p')
    await log.fresh()
  })
  const root = async () => String((await log.query(`select 'p'::regclass::oid::text as oid`))[0]?.oid)

  it('log as the root, with the columns in its order, under whatever table name the statement uses', async () => {
    await log.query(
      `insert into p values (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c'); insert into p2 (v, id, region) values ('d', 2, 2); insert into p3 values (3, 2, 'e')`,
    )
    await log.query(`update p2 set v = 'D' where id = 2; update p3a set v = 'C' where id = 1; delete from p1`)
    const events = await log.fresh()
    expect(lines(events)).toEqual([
      'I {"region":1,"id":1,"v":"a"}',
      'I {"region":2,"id":1,"v":"b"}',
      'I {"region":3,"id":1,"v":"c"}',
      'I {"region":2,"id":2,"v":"d"}',
      'I {"region":3,"id":2,"v":"e"}',
      'U {"region":2,"id":2,"v":"d"} -> {"region":2,"id":2,"v":"D"}',
      'U {"region":3,"id":1,"v":"c"} -> {"region":3,"id":1,"v":"C"}',
      'D {"region":1,"id":1,"v":"a"}',
    ])
    expect(new Set(events.map(event => event.topic))).toEqual(new Set([await root()]))
    expect(await state('p')).toMatchObject({ key_columns: ['region', 'id'] })
  })

  it('log a row that moves to another partition', async () => {
    await log.query(`insert into p values (1, 1, 'a'), (1, 2, 'b')`)
    await log.fresh()
    await log.query('update p set region = 2 where id = 1')
    expect(lines(await log.fresh()).sort()).toEqual([
      'D {"region":1,"id":1,"v":"a"}',
      'I {"region":2,"id":1,"v":"a"}',
    ])
    // The row is logged as a delete because a trigger prevents its arrival.
    await log.query(
      `create function no() returns trigger language plpgsql as 'begin return null; end'; create trigger no before insert on p2 for each row execute function no()`,
    )
    await log.query('update p set region = 2 where id = 2')
    expect(lines(await log.fresh())).toEqual(['D {"region":1,"id":2,"v":"b"}'])
    await log.query('drop function no cascade')
  })

  it('log TRUNCATE of the root as one event; TRUNCATE of a partition starts a new generation', async () => {
    const g = await generation('p')
    await log.query(`insert into p values (1, 1, 'a'); truncate p`)
    expect((await log.fresh()).map(event => [event.operation, event.generation])).toEqual([
      ['I', g],
      ['T', g],
    ])
    await log.query(`truncate p1`)
    const events = await log.fresh()
    expect(events.map(event => [event.operation, event.generation])).toEqual([['T', g + 1]])
    await log.query('select * from listenql.refresh($1, $2)', [events[0]?.topic, g + 1])
    expect(await generation('p')).toBe(g + 1)
  })

  it('are noticed when they are created, attached and detached', async () => {
    const g = await generation('p')
    await log.query(`create table p9 partition of p for values in (9)`)
    expect((await log.refresh()).map(row => row.change)).toEqual(['generation'])
    await log.query(`insert into p9 values (9, 1, 'x')`)
    expect(lines(await log.fresh())).toEqual(['I {"region":9,"id":1,"v":"x"}'])
    await log.query(`alter table p detach partition p9`)
    expect((await log.refresh()).map(row => row.change)).toEqual(['generation'])
    expect(await generation('p')).toBe(g + 2)
    await log.query(`insert into p9 values (9, 2, 'not ours any more')`)
    expect(await log.fresh()).toEqual([])
    expect(await log.query(`select tgname from pg_trigger where tgrelid = 'p9'::regclass`)).toEqual([])
  })

  it('cannot be watched on their own, whether or not the root is watched', async () => {
    expect(await refusal(log.query(`select listenql.watch('p1')`))).toBe('LQ004')
    await log.query(`select listenql.unwatch('p')`)
    expect(await refusal(log.query(`select listenql.watch('p1')`))).toBe('LQ004')
  })
})

describe('inheritance', () => {
  it("logs rows of children as rows of the parent, without the children's own columns", async () => {
    await log.query('drop table if exists kid; create table kid (extra int) inherits (t)')
    await log.refresh()
    await log.query(
      `insert into t values (1, 'a'); insert into kid values (1, 'b', 9); update t set v = v || '!'; update only t set v = 'x'; delete from kid`,
    )
    const events = lines(await log.fresh())
    expect(events.slice(0, 2)).toEqual(['I {"id":1,"v":"a"}', 'I {"id":1,"v":"b"}'])
    expect(events.slice(2, 4).sort()).toEqual([
      'U {"id":1,"v":"a"} -> {"id":1,"v":"a!"}',
      'U {"id":1,"v":"b"} -> {"id":1,"v":"b!"}',
    ])
    expect(events.slice(4)).toEqual(['U {"id":1,"v":"a!"} -> {"id":1,"v":"x"}', 'D {"id":1,"v":"b!"}'])
    expect(await state()).toMatchObject({ key_columns: [] }) // not unique across all of them
  })
})

describe('a silenced table', () => {
  it('logs nothing although its triggers remain; unwatch removes them, and watch makes the table log again', async () => {
    const before = await state()
    const ddl = (await log.query(`select listenql.silence('t') as ddl`)).map(row => row.ddl)
    expect(ddl).toEqual(
      [
        'listenql_delete',
        'listenql_insert',
        'listenql_truncate',
        'listenql_update',
        '"~listenql_number"',
      ].map(name => `drop trigger if exists ${name} on public.t;`),
    )
    expect(await state()).toEqual({})
    await log.query(`insert into t values (1, 'a'); update t set v = 'b'; delete from t; truncate t`)
    expect(await log.fresh()).toEqual([])
    expect(await refusal(log.query(`select listenql.silence('t')`))).toBe('LQ004')

    await log.watch('t')
    expect(Number((await state()).generation)).toBeGreaterThan(Number(before.generation))
    await log.query(`insert into t values (2, 'b')`)
    expect(lines(await log.fresh())).toEqual(['I {"id":2,"v":"b"}'])

    await log.query(`select listenql.silence('t')`)
    await log.query(`select listenql.unwatch('t')`)
    expect(await log.query(`select tgname from pg_trigger where tgrelid = 't'::regclass`)).toEqual([])
    expect(await refusal(log.query(`select listenql.unwatch('t')`))).toBe('LQ004')
  })

  it('is watched again only after every transaction that wrote unlogged has ended', async () => {
    await log.query(`select listenql.silence('t')`)
    const writer = await log.connect()
    await writer.query(`begin; insert into t values (1, 'not logged')`)
    const impatient = await log.connect({ options: '-c lock_timeout=50ms' })
    expect(await refusal(impatient.query(`select listenql.watch('t')`))).toBe('55P03')
    await writer.query('commit')
    await log.watch('t')
    expect((await state()).since_n).toEqual(expect.any(Number))
  })

  it('can be cleaned up by its owner with the statements given', async () => {
    for (const { ddl } of await log.query(`select listenql.silence('t') as ddl`)) await log.query(String(ddl))
    expect(await log.query(`select tgname from pg_trigger where tgrelid = 't'::regclass`)).toEqual([])
  })
})

describe('unwatch', () => {
  it('refuses a part of a watched tree', async () => {
    await log.query('drop table if exists kid; create table kid (extra int) inherits (t)')
    await log.refresh()
    expect(await refusal(log.query(`select listenql.unwatch('kid')`))).toBe('LQ004')
    await log.fresh()
    await log.query(`insert into kid values (1, 'a')`)
    expect(lines(await log.fresh())).toEqual(['I {"id":1,"v":"a"}'])
  })

  it('removes a dropped table from the list', async () => {
    const [relid] = await log.query(`select 't'::regclass::oid as oid`)
    await log.query('drop table t')
    await log.query('select listenql.unwatch($1::oid::regclass)', [relid?.oid])
    expect(await log.query('select from listenql.watched_table where relid::oid = $1', [relid?.oid])).toEqual(
      [],
    )
    expect(await log.query(`select from pg_proc where proname = 'capture_${relid?.oid}'`)).toEqual([])
  })
})

describe('refused with LQ004:', () => {
  it.each([
    ['a view', 'create view v1 as select 1', 'v1'],
    ['an unlogged table', 'create unlogged table u1 (id int)', 'u1'],
    ['a system table', 'select 1', 'pg_class'],
    ['a table of the log', 'select 1', 'listenql.event'],
  ])('watch of %s', async (_, sql, name) => {
    await log.query(sql)
    expect(await refusal(log.query('select listenql.watch($1::regclass)', [name]))).toBe('LQ004')
  })
  it('unwatch of a table that is not watched', async () => {
    await log.query('create table never (id int)')
    expect(await refusal(log.query(`select listenql.unwatch('never')`))).toBe('LQ004')
  })
})

it('a table that is recreated and watched again during a refresh starts one history, not two', async () => {
  await log.query('create table again (id int primary key)')
  await log.watch('again')
  await log.query('drop table again; create table again (id int primary key)')
  const server = await log.connect()
  const person = await log.connect()
  await server.query('begin')
  const { rows } = await server.query('select change from listenql.refresh()')
  expect(rows).toEqual([{ change: 'again' }, { change: 'generation' }])
  const watching = person.query(`select listenql.watch('again')`)
  await waitUntil(async () => {
    const [row] = await log.database.query(
      `select count(*)::int as n from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
      [log.database.name],
    )
    return row?.n === 1
  }, 'watch() to wait')
  await server.query('commit')
  await watching
  expect(await log.refresh()).toEqual([])
})

it('a table that is dropped during a refresh is no error', async () => {
  await log.query('create table gone (id int primary key)')
  await log.query(`select listenql.watch('gone')`)
  const other = await log.connect()
  await other.query('begin; drop table gone')
  const looking = log.refresh()
  await other.query('commit')
  await looking
  expect((await log.refresh()).map(({ change }) => change)).not.toContain('lacking')
})
