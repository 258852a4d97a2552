import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import { lines, type TestLog } from '../support/log.js'

/** Databases made by version 8 that are upgraded while they are in use. */

let log: TestLog
let writer: pg.Client
beforeEach(async () => {
  log = await createFormerLog(8)
  writer = await log.connect()
})
afterEach(() => log.close())

const upgrade = async () => migrate(await log.connect())
/** Upgrades to the version that orders commands. Later versions wait for transactions that have written. */
const upgradeOrder = async () => migrate(await log.connect(), { migrations: readMigrations().slice(0, 9) })

describe('a table that version 8 watched', () => {
  beforeEach(async () => {
    await log.query('create table t (id int primary key, v int)')
    await log.watch('t')
  })

  it('keeps its history: cursors from before the upgrade are valid', async () => {
    const before = await log.newest()
    await log.query('insert into t values (1, 1)')
    expect(await upgrade()).toEqual({ from: 8, to: readMigrations().length })
    await log.query('update t set v = 2')
    await log.refresh()
    const [row] = await log.query(
      `select generation, whole_from, since_n is not null as whole from listenql.watched`,
    )
    expect(row).toEqual({ generation: 1, whole_from: 1, whole: true })
    expect(lines(await log.pull(before))).toEqual(['I {"id":1,"v":1}', 'U {"id":1,"v":1} -> {"id":1,"v":2}'])
  })

  it('keeps the order within a transaction that is open during the upgrade', async () => {
    for (const sql of [
      'begin',
      'insert into t values (1, 1)',
      'update t set v = 2',
      'savepoint a',
      'update t set v = 3',
    ])
      await writer.query(sql)
    await upgradeOrder()
    for (const sql of [
      'update t set v = 4',
      'rollback to a',
      'update t set v = 5',
      'with g as (delete from t returning id) insert into t select id, 6 from g',
      'commit',
    ])
      await writer.query(sql)
    expect(lines(await log.fresh())).toEqual([
      'I {"id":1,"v":1}',
      'U {"id":1,"v":1} -> {"id":1,"v":2}',
      'U {"id":1,"v":2} -> {"id":1,"v":5}',
      'D {"id":1,"v":5}',
      'I {"id":1,"v":6}',
    ])
  })

  it('keeps the order within a statement that runs during the upgrade', async () => {
    await log.query('create table gate (id int)')
    const gate = await log.connect()
    await gate.query('begin; lock table gate')
    await writer.query('begin; insert into t values (1, 1)')
    // Its BEFORE STATEMENT trigger fires under version 8, and the trigger that logs fires under the new
    // version.
    const running = writer.query('update t set v = 2 where (select count(*) from gate) = 0')
    await log.database.query(
      `do $$ begin while not exists (select from pg_locks where not granted and relation = 'gate'::regclass) loop perform pg_sleep(0.01); end loop; end $$`,
    )
    await upgradeOrder()
    await gate.query('commit')
    await running
    await writer.query('update t set v = 3')
    await writer.query('commit')
    expect(lines(await log.fresh())).toEqual([
      'I {"id":1,"v":1}',
      'U {"id":1,"v":1} -> {"id":1,"v":2}',
      'U {"id":1,"v":2} -> {"id":1,"v":3}',
    ])
  })

  it('logs the next generation if it was altered just before, and refresh() writes the new functions', async () => {
    await log.query('alter table t add column w int')
    await upgrade()
    await log.query('insert into t values (1, 1, 1)')
    expect((await log.fresh()).map(({ generation, new: image }) => [generation, image])).toEqual([
      [2, '{"id":1,"v":1,"w":1}'],
    ])
    await log.refresh()
    await log.query(
      `begin; select pg_current_xact_id(); with g as (delete from t returning id) insert into t select id, 6, 6 from g; commit`,
    )
    expect(lines(await log.fresh())).toEqual(['D {"id":1,"v":1,"w":1}', 'I {"id":1,"v":6,"w":6}'])
  })
})

it('a partitioned table starts a new history with the trigger that captures rows moved by MERGE', async context => {
  const [row] = await log.query('show server_version_num')
  if (Number(row?.server_version_num) < 150000) return context.skip(true, 'Postgres has no MERGE before 15')
  await log.query(`create table p (id int, part int, primary key (id, part)) partition by list (part);
    create table p1 partition of p for values in (1); create table p2 partition of p for values in (2)`)
  await log.watch('p')
  await log.query('insert into p values (1, 1)')
  const before = await log.query('select since_n from listenql.watched')
  await upgrade()
  await log.query('update p set id = 2')
  expect(lines(await log.fresh()).sort()).toEqual([
    'D {"id":1,"part":1}',
    'I {"id":1,"part":1}',
    'I {"id":2,"part":1}',
  ])
  await log.refresh()
  const after = await log.query('select since_n, whole_from from listenql.watched')
  expect(Number(after[0]?.since_n)).toBeGreaterThan(Number(before[0]?.since_n))
  await log.query(
    'merge into p using (values (2)) s(id) on p.id = s.id when matched then update set part = 2',
  )
  expect(lines(await log.fresh())).toEqual(['D {"id":2,"part":1}', 'I {"id":2,"part":2}'])
})
