import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { installedVersion, migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import { lines, type TestLog } from '../support/log.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
const newest = readMigrations().length
beforeEach(async () => {
  log = await createFormerLog(8)
  await log.query(`create domain short as varchar(5); create type mood as enum ('sad', 'happy');
    create table plain (id int primary key, v short, m mood, x numeric(10, 2));
    create table parent (id int, v text); create table kid (extra int) inherits (parent);
    create table parted (r int, id int, primary key (r, id)) partition by list (r);
    create table parted_1 partition of parted for values in (1);
    create table parted_2 partition of parted for values in (2, 3) partition by list (r);
    create table parted_3 partition of parted_2 for values in (3)`)
  await log.watch('plain', 'parent', 'parted')
})
afterEach(() => log.close())

const write = () =>
  log.query(`insert into plain values (1, 'a', 'sad', 1.5); insert into kid values (1, 'k', 2); insert into parted values (1, 1), (3, 3);
    update parted set r = 3 where r = 1; delete from plain; delete from parent; truncate parted`)
/**
 * The histories that continue. MERGE (Postgres 15 and later) may have left holes in that of a partitioned
 * table.
 */
const histories = () =>
  log.query(`select relid, generation, whole_from, since_n, since_token from listenql.watched
    where table_name <> 'parted' or current_setting('server_version_num')::int < 150000 order by 1`)
/** The functions that a server of version 8 calls: their signatures never change. */
const CALLED_BY_8 = [
  'newest()',
  'pull(bigint, bigint, integer, integer, bigint, integer)',
  'read(bigint, bigint, integer, integer, bigint, integer)',
  'cut()',
  'arm(integer)',
  'renew(integer)',
  'clear(bigint)',
  'refresh(oid, integer)',
  'rotate(interval, bigint)',
  'status()',
  'kicks(xid8)',
  'prune_kicks(interval)',
]
const functions = () =>
  log.query(
    `select p.oid::regprocedure::text as name, pg_get_function_result(p.oid) as result, p.proretset, p.prosecdef
     from unnest($1::text[]) f join pg_proc p on p.oid = ('listenql.' || f)::regprocedure order by 1`,
    [CALLED_BY_8],
  )

describe('a database made by version 8', () => {
  it('is upgraded without ending a history', async () => {
    await write()
    const before = lines(await log.fresh())
    const position = await log.newest()
    const former = await histories()
    await write()
    expect(await migrate(await log.connect())).toEqual({ from: 8, to: newest })
    expect(await histories()).toEqual(former)
    expect((await log.refresh()).filter(({ table_name }) => table_name !== 'parted')).toEqual([])
    await write()
    expect(await log.refresh()).toEqual([])
    expect(await histories()).toEqual(former)
    const events = await log.pull(position)
    expect(lines(events)).toEqual([...before, ...before])
    for (const { relid, generation } of former)
      expect(
        new Set(events.filter(({ topic }) => topic === String(relid)).map(one => one.generation)),
      ).toEqual(new Set([generation]))
  })

  it('has the functions that a server of version 8 calls, with the same results', async () => {
    const former = await functions()
    const columns = () =>
      log.query(
        `select attname, atttypid::regtype::text as type from pg_attribute where attrelid = 'listenql.watched'::regclass and attnum <= 11 order by attnum`,
      )
    const view = await columns()
    await migrate(await log.connect())
    expect(await functions()).toEqual(expect.arrayContaining(former))
    expect(await columns()).toEqual(view)
  })

  it('detects at the next refresh what was altered before the upgrade', async () => {
    await log.query(
      'alter table plain add column w int; create table parted_4 partition of parted for values in (4)',
    )
    await migrate(await log.connect())
    expect((await log.refresh()).map(({ table_name, change }) => `${table_name} ${change}`)).toEqual([
      'plain generation',
      'parted generation',
    ])
    await log.query(`insert into plain values (7, 'b', null, null, 1); insert into parted_4 values (4, 4)`)
    expect(lines(await log.fresh())).toEqual([
      'I {"id":7,"v":"b","m":null,"x":null,"w":1}',
      'I {"r":4,"id":4}',
    ])
  })

  it('is upgraded in short attempts while a transaction writes, so that other sessions are not blocked', async () => {
    const writer = await log.connect()
    await writer.query(`begin; insert into plain values (10)`)
    const migrating = migrate(await log.connect())
    await waitUntil(async () => {
      const [row] = await log.database.query(
        `select count(*)::int as n from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
        [log.database.name],
      )
      return row?.n === 1
    }, 'the upgrade to wait')
    await log.query('insert into plain values (11)')
    await writer.query('commit')
    expect(await migrating).toEqual({ from: 8, to: newest })
  })

  it('reveals its version even without the rows that state it', async () => {
    const client = await log.connect()
    await log.query('truncate listenql.migration')
    expect(await installedVersion(client)).toBe(8)
    await migrate(client)
    await log.query('truncate listenql.migration')
    expect(await installedVersion(client)).toBe(newest)
    expect(await migrate(client)).toEqual({ from: newest, to: newest, wasRestored: true })
    expect(await log.query('select version from listenql.migration order by 1')).toEqual(
      readMigrations().map(({ version }) => ({ version })),
    )
  })
})

describe('a log without its state, as from a dump without rows', () => {
  beforeEach(async () => {
    await migrate(await log.connect())
    await write()
    await log.fresh()
    await log.query(`truncate listenql.migration, listenql.history, listenql.batch, listenql.watched_table, listenql.event, listenql.uptime;
      select setval(s, case s when 'listenql.event_id' then 1 else 0 end, false)
      from unnest('{listenql.event_id,listenql.head,listenql.armed,listenql.cleared,listenql.lease}'::text[]) s`)
  })

  it('lets writes succeed and logs nothing', async () => {
    await write()
    await log.query(`select listenql.publish('c', 'payload')`)
    expect(await log.query('select from listenql.event')).toEqual([])
  })

  it('is repaired by a refresh, which watches the tables that have triggers', async () => {
    expect((await log.refresh()).map(({ table_name, change }) => `${table_name} ${change}`)).toEqual([
      'plain generation',
      'parent generation',
      'parted generation',
    ])
    expect(await log.refresh()).toEqual([])
    const start = await log.newest()
    await write()
    expect(lines(await log.pull(start)).length).toBeGreaterThan(7)
  })

  it('is repaired once by eight sessions at the same time', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => log.connect()))
    const found = await Promise.all(clients.map(client => client.query('select * from listenql.newest()')))
    expect(new Set(found.map(({ rows }) => JSON.stringify(rows))).size).toBe(1)
    expect(await log.query('select count(*)::int as n from listenql.batch')).toEqual([{ n: 1 }])
  })

  it('refuses to number events that no server could follow', async () => {
    await expect(log.pull({ n: 0, token: 0, ord: 0, statement: 0, id: 0 })).rejects.toMatchObject({
      code: 'LQ001',
    })
  })
})
