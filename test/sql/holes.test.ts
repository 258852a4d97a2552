import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLog, lines, type TestLog } from '../support/log.js'
import { type PrivatePostgres, startPrivatePostgres } from '../support/postgres.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

beforeEach(async () => {
  await log.query(`drop table if exists t, p, p1, p9, p3b, kid, loose cascade; drop schema if exists aside cascade;
    create table t (id int primary key, v text); insert into t values (1, 'a');
    create table p (r int, id int, v text, primary key (r, id)) partition by list (r);
    create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
    create table p3 partition of p for values in (3, 4) partition by list (r); create table p3a partition of p3 for values in (3);
    create table p9 (r int not null, id int not null, v text, primary key (r, id));
    create table p3b (r int not null, id int not null, v text, primary key (r, id));
    create table loose (id int not null, v text); insert into loose values (7, 'loose')`)
  await log.watch('t', 'p')
  await log.fresh()
})

interface State {
  readonly generation: number
  readonly whole_from: number
  readonly since_n: string | null
}
const state = async (table: string) =>
  (
    await log.query('select generation, whole_from, since_n from listenql.watched where table_name = $1', [
      table,
    ])
  )[0] as unknown as State

/** Refreshes as a server does: once, and once more for each newer generation that an event carries. */
async function look(): Promise<string[]> {
  const said: string[] = []
  const note = (rows: Record<string, unknown>[]) => {
    for (const { table_name, change, detail } of rows)
      said.push(`${table_name} ${change}${change === 'lacking' ? ` ${detail}` : ''}`)
  }
  for (const { topic, generation } of await log.fresh()) {
    note(await log.query('select * from listenql.refresh($1::text::oid, $2)', [topic, generation]))
  }
  note(await log.refresh())
  return said
}

/** Whether subscribers receive a gap and old cursors have expired. */
async function ends(table: string, sql: string | readonly string[]): Promise<boolean> {
  const before = await state(table)
  for (const statement of [sql].flat()) await log.query(statement)
  await look()
  const now = await state(table)
  return (
    now.whole_from > before.generation &&
    (now.since_n === null || Number(now.since_n) > Number(before.since_n))
  )
}

describe('a partition that is attached and detached between two refreshes ends the history', () => {
  it.each([
    [
      'in one transaction',
      `begin; alter table p attach partition p9 for values in (9); insert into p values (9, 1, 'x'); alter table p detach partition p9; commit`,
    ],
    [
      'in several transactions',
      [
        'alter table p attach partition p9 for values in (9)',
        `insert into p values (9, 1, 'x')`,
        'alter table p detach partition p9',
      ],
    ],
    [
      'with a row in it',
      `insert into p values (1, 1, 'x'); alter table p attach partition p9 for values in (9); update p set r = 9; alter table p detach partition p9`,
    ],
    [
      'with rows that are deleted meanwhile',
      `insert into p9 values (9, 1, 'x'); alter table p attach partition p9 for values in (9); delete from p where r = 9; alter table p detach partition p9`,
    ],
    [
      'at a lower level',
      `begin; alter table p3 attach partition p3b for values in (4); insert into p values (4, 1, 'x'); alter table p3 detach partition p3b; commit`,
    ],
    [
      'at a lower level, by its own name',
      `begin; alter table p3 attach partition p3b for values in (4); insert into p3 values (4, 1, 'x'); alter table p3 detach partition p3b; commit`,
    ],
    [
      'as the default partition',
      `begin; alter table p attach partition p9 default; insert into p values (77, 1, 'x'); alter table p detach partition p9; commit`,
    ],
    [
      'and is dropped',
      `begin; create table p8 partition of p for values in (8); insert into p values (8, 1, 'x'); drop table p8; commit`,
    ],
    [
      'and is replaced by another one',
      'begin; alter table p detach partition p1; drop table p1; alter table p attach partition p9 for values in (1); commit',
    ],
    [
      'and is attached again',
      'alter table p detach partition p1; alter table p attach partition p1 for values in (1)',
    ],
    [
      'and is attached again at a lower level',
      'alter table p3 detach partition p3a; alter table p3 attach partition p3a for values in (3)',
    ],
    ['and is truncated on its own', `insert into p values (1, 1, 'x'); truncate p1`],
  ])('%s', async (_what, sql) => {
    expect(await ends('p', sql)).toBe(true)
    // From here on the history is whole again.
    await log.query(`insert into p values (2, 2, 'on')`)
    expect(lines(await log.fresh())).toEqual(['I {"r":2,"id":2,"v":"on"}'])
    expect(await look()).toEqual([])
  })

  it('under plans that were cached before', async () => {
    const writer = await log.connect()
    for (let i = 0; i < 10; i++) await writer.query(`insert into p values (1, $1, 'x')`, [i])
    await look()
    expect(
      await ends('p', []).then(async () => {
        const before = await state('p')
        await log.query('alter table p attach partition p9 for values in (9)')
        await writer.query(`insert into p values (9, 1, 'x')`)
        await log.query('alter table p detach partition p9')
        await look()
        return (await state('p')).whole_from > before.generation
      }),
    ).toBe(true)
    await writer.end()
  })

  it('also if it is an inheritance child', async () => {
    expect(
      await ends(
        't',
        `begin; alter table loose inherit t; update t set v = 'x'; alter table loose no inherit t; commit`,
      ),
    ).toBe(true)
  })

  it('but not a refresh, a write or new statistics', async () => {
    expect(await ends('p', `insert into p values (1, 1, 'x'); analyze p; vacuum p`.split(';'))).toBe(false)
  })
})

describe('a partition under DETACH CONCURRENTLY', () => {
  it('no longer belongs to the table', async () => {
    const version = Number((await log.query('show server_version_num'))[0]?.server_version_num)
    if (version < 140000)
      return expect(log.query('alter table p detach partition p1 concurrently')).rejects.toThrow()
    await log.query(`insert into p values (1, 1, 'x')`)
    await look()
    const before = await state('p')
    const reader = await log.connect()
    await reader.query('begin; select * from p') // DETACH waits for this transaction between its two steps
    const detacher = await log.connect({ statement_timeout: 300 })
    await expect(detacher.query('alter table p detach partition p1 concurrently')).rejects.toThrow('timeout')
    await reader.query('rollback')
    expect(
      await log.query(`select inhdetachpending from pg_inherits where inhrelid = 'p1'::regclass`),
    ).toEqual([{ inhdetachpending: true }])
    await look()
    expect((await state('p')).whole_from).toBeGreaterThan(before.generation)
    await log.query(`insert into p1 values (1, 2, 'not of p')`)
    expect(await log.fresh()).toEqual([])
    await log.query('alter table p detach partition p1 finalize')
    await look()
    await log.query(`insert into p values (2, 1, 'on')`)
    expect(lines(await log.fresh())).toEqual(['I {"r":2,"id":1,"v":"on"}'])
  })
})

describe('SET UNLOGGED', () => {
  it('ends the history, and SET LOGGED starts another one', async () => {
    expect(await ends('t', 'alter table t set unlogged')).toBe(true)
    expect(await state('t')).toMatchObject({ since_n: null })
    expect(await look()).toEqual([
      't lacking public.t is unlogged: a crash would empty it, and nothing would tell; alter table public.t set logged',
    ])
    expect(await ends('t', 'alter table t set logged')).toBe(true)
    await log.query(`insert into t values (2, 'on')`)
    expect(lines(await log.fresh())).toEqual(['I {"id":2,"v":"on"}'])
  })

  it('ends the history if it is applied to a partition', async () => {
    expect(await ends('p', 'alter table p1 set unlogged')).toBe(true)
    expect(await look()).toEqual([expect.stringContaining('p lacking public.p1 is unlogged')])
    expect(await ends('p', 'alter table p1 set logged')).toBe(true)
  })

  it('followed by SET LOGGED between two refreshes, without a crash, changes nothing', async () => {
    expect(await ends('t', 'alter table t set unlogged; alter table t set logged')).toBe(false)
    expect(await ends('t', ['vacuum full t'])).toBe(false)
  })
})

describe('after a crash', () => {
  let postgres: PrivatePostgres
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: postgres.adminUrl })
    await client.connect()
    const result: unknown = await client.query(sql)
    await client.end()
    return ([result].flat().at(-1) as pg.QueryResult<Record<string, unknown>>).rows
  }
  beforeAll(async () => {
    postgres = await startPrivatePostgres()
    await query(`create table u (id int primary key); create table other (id int primary key); insert into u values (1); insert into other values (1);
      select listenql.watch('u'); select listenql.watch('other')`)
    await query('select listenql.refresh()')
  })
  afterAll(() => postgres.close())

  it('a table that was unlogged at the time, and is logged now, has a new history; other tables keep theirs', async () => {
    const histories = () =>
      query('select table_name, generation, whole_from, since_n from listenql.watched order by 1')
    const before = await histories()
    await query('alter table u set unlogged; insert into u values (2)')
    await query('insert into other values (2)')
    await postgres.stop('immediate')
    await postgres.start()
    expect(await query('select * from u')).toEqual([])
    await query('alter table u set logged')
    await query('select listenql.refresh()')
    const after = await histories()
    expect(after.filter((row, i) => JSON.stringify(row) !== JSON.stringify(before[i]))).toMatchObject([
      { table_name: 'u' },
    ])
    const [u] = after.filter(({ table_name }) => table_name === 'u')
    expect(Number(u?.whole_from)).toBe(Number(u?.generation))
    // A crash that finds no unlogged table changes nothing.
    await postgres.stop('immediate')
    await postgres.start()
    await query('select listenql.refresh()')
    expect(await histories()).toEqual(after)
  })
})
