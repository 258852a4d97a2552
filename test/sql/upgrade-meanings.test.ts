import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import { createLive, endOf, nextChange } from '../support/live.js'
import { lines, type TestLog } from '../support/log.js'

/** Databases made by version 13, whose looks at the catalogue noted less. */

let log: TestLog
beforeEach(async () => {
  log = await createFormerLog(13)
  await log.query(`create domain short as varchar(10); create type mood as enum ('sad', 'happy');
    create table t (id int primary key, name text, d short, m mood, amount numeric(10, 2), cut varchar(10)); -- the shortened column last: 15.20 marks all columns after an altered one
    create table k (key int[] primary key, v int);
    create table p (id int primary key, name text, base int default 1, g int generated always as (base + 1) stored) partition by list (id);
    create table p1 partition of p for values in (1); create table p2 partition of p for values in (2)`)
  await log.watch('t', 'k', 'p')
})
afterEach(() => log.close())

const upgrade = async () => migrate(await log.connect())
const histories = () =>
  log.query(
    'select table_name, generation, whole_from, since_n, since_token, column_from from listenql.watched order by 1',
  )
const meanings = async (table: string) =>
  (await log.query('select whole_from, column_from from listenql.watched where table_name = $1', [table]))[0]

describe('an upgrade from version 13', () => {
  it('ends no history, not that of a table whose functions are replaced while a transaction writes', async () => {
    const former = await histories()
    const position = await log.newest()
    const writer = await log.connect()
    await writer.query(`begin; insert into k values ('[0:1]={1,2}', 1), ('{1,2}', 1)`)
    // Version 17 waits for transactions that have written.
    expect(await migrate(await log.connect(), { migrations: readMigrations().slice(0, 16) })).toEqual({
      from: 13,
      to: 16,
    })
    await writer.query(`update k set v = 2; commit`)
    await log.query(`delete from k where key = '[0:1]={1,2}'`)
    expect(await log.refresh()).toEqual([])
    expect(await histories()).toEqual(former)
    const events = await log.pull(position)
    expect(lines(events)).toEqual([
      'I {"key":[1,2],"v":1}', // as version 13 wrote it
      'I {"key":[1,2],"v":1}',
      'U {"key":"[0:1]={1,2}","v":1} -> {"key":"[0:1]={1,2}","v":2}',
      'U {"key":[1,2],"v":1} -> {"key":[1,2],"v":2}',
      'D {"key":"[0:1]={1,2}","v":2}',
    ])
    expect(new Set(events.map(({ generation }) => generation))).toEqual(new Set([1]))
  })

  it('knows from then on what is a change of meaning', async () => {
    await upgrade()
    await log.query(
      'alter table t alter cut type varchar(20), alter d type varchar, alter amount type numeric(12, 2)',
    )
    await log.refresh()
    expect(await meanings('t')).toEqual({ whole_from: 1, column_from: {} })
    await log.query('alter table t alter cut type varchar(5)')
    await log.refresh()
    expect(await meanings('t')).toEqual({ whole_from: 1, column_from: { cut: 3 } })
    const [row] = await log.query('show server_version_num')
    if (Number(row?.server_version_num) < 170000) return
    await log.query('alter table p2 alter g set expression as (base + 2)')
    await log.refresh()
    expect(await meanings('p')).toEqual({ whole_from: 1, column_from: { g: 2 } })
  })

  it('counts every column as changed where a table was altered before the upgrade and after the last look', async () => {
    await log.query('alter table t alter cut type varchar(5)')
    await upgrade()
    await log.refresh()
    const { whole_from, column_from } = (await meanings('t')) as { whole_from: number; column_from: object }
    expect([whole_from, Object.keys(column_from).sort()]).toEqual([
      1,
      ['amount', 'cut', 'd', 'id', 'm', 'name'],
    ])
    expect((await histories()).map(({ table_name, generation }) => [table_name, generation])).toEqual([
      ['k', 1],
      ['p', 1],
      ['t', 2],
    ])
  })

  it('lets the streams of a running server continue, which then knows what is a change of meaning', async () => {
    const live = await createLive(log)
    try {
      await live.ready('{ t { cursor } }')
      const streams = [
        await live.subscribe('subscription { tChanged { row { name cut } } }'),
        await live.subscribe('subscription { tChanged { row { name amount } } }'),
      ]
      const next = async (id: number) => {
        await log.query(`insert into t (id, name, cut, amount) values (${id}, 'n', 'a', 1)`)
        return (await Promise.all(streams.map(nextChange))).map(({ row }) => row)
      }
      const rows = [
        { name: 'n', cut: 'a' },
        { name: 'n', amount: '1.00' },
      ]
      expect(await next(1)).toEqual(rows)
      await upgrade()
      expect(await next(2)).toEqual(rows)
      await log.query('alter table t alter cut type text, alter amount type numeric')
      await log.query(`insert into t (id, name, cut, amount) values (3, 'n', 'a', 1.00)`)
      expect((await Promise.all(streams.map(nextChange))).map(({ row }) => row)).toEqual(rows)
      await log.query('alter table t alter cut type varchar(3)')
      expect(await endOf(streams[0] as (typeof streams)[number])).toBe('CURSOR_EXPIRED')
      await log.query(`insert into t (id, name, amount) values (4, 'n', 2.5)`)
      expect((await nextChange(streams[1] as (typeof streams)[number])).row).toEqual({
        name: 'n',
        amount: '2.5',
      })
    } finally {
      await live.close()
    }
  })
})
