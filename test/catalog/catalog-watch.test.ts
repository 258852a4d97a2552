import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Catalog, type CatalogOptions, createCatalog } from '../../src/catalog/catalog-watch.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { grantSql } from '../../src/log/install.js'
import { migrate } from '../../src/log/migrations.js'
import { createLog, type TestLog } from '../support/log.js'
import { createObserved, type Observed } from '../support/observed.js'
import { createServerLogin } from '../support/server-login.js'
import { waitUntil } from '../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

interface Watching {
  readonly catalog: Catalog
  /** Every list that was published. */
  readonly lists: (readonly WatchedTable[])[]
  readonly observed: Observed
  /** Waits until the newest list satisfies the condition. */
  until(what: string, isThere: (tables: readonly WatchedTable[]) => boolean): Promise<void>
  close(): Promise<void>
}

/** Refreshes only on request, unless an interval is given. */
function watching(config: CatalogOptions['config'], catalogInterval = 1_000_000): Watching {
  const observed = createObserved()
  const lists: (readonly WatchedTable[])[] = []
  const catalog = createCatalog({
    config,
    catalogInterval,
    connectTimeout: 5000,
    reconnectMax: 50,
    observe: observed.observe,
    onChange: list => lists.push(list),
  })
  catalog.start()
  return {
    catalog,
    lists,
    observed,
    async until(what, isThere) {
      await waitUntil(() => lists.length > 0 && isThere(lists.at(-1) ?? []), what)
    },
    close: () => catalog.close(),
  }
}

const names = (tables: readonly WatchedTable[] | undefined) => tables?.map(({ name }) => name)

let watched: WatchedLog
let log: TestLog

beforeAll(async () => {
  watched = await createWatchedLog()
  log = watched.log
  await watched.table('id int primary key, v text', 'first')
})
afterAll(() => watched.close())

describe('the list of watched tables', () => {
  it('follows the database by itself', async () => {
    const { until, lists, observed, close } = watching(watched.server.config, 20)
    await until('the first table', list => names(list)?.join() === 'first')
    await log.query(`create table second (id int primary key); select listenql.watch('second')`) // no other session refreshes
    await until('another one', list => names(list)?.join() === 'first,second')
    await log.query('alter table second add column w int')
    await until('its new column', list => list[1]?.columns.length === 2 && list[1].generation === 2)
    expect(observed.all('table.changed', { table: 'second', detail: '2' })).toMatchObject([
      { change: 'generation' },
    ])
    await log.query(`comment on column second.w is 'width'`)
    await until('its comment', list => list[1]?.columns[1]?.comment === 'width')
    await log.query(`select listenql.unwatch('second')`)
    await until('one less', list => names(list)?.join() === 'first')
    await close()
    const texts = lists.map(list => JSON.stringify(list))
    expect(texts.filter((text, i) => text === texts[i - 1])).toEqual([])
  })

  it('is published once while it is unchanged', async () => {
    const { catalog, lists, close } = watching(watched.server.config)
    for (let i = 0; i < 5; i++) await catalog.refreshNow()
    expect(names(catalog.tables)).toEqual(['first'])
    expect(lists.length).toBe(1)
    await close()
  })

  it('includes the generation that an event carries once a refresh for it was requested', async () => {
    await watched.table('id int primary key, v int', 'moving')
    const { catalog, close } = watching(watched.server.config)
    await catalog.refreshNow()
    await log.fresh()
    const known = () => catalog.tables?.find(({ name }) => name === 'moving')
    const first = known()?.generation ?? Number.NaN
    for (let k = 1; k < 5; k++) {
      await log.query(`alter table moving add column c${k} int; insert into moving (id) values (${k})`)
      const [event] = await log.fresh()
      expect(event?.generation).toBe(first + k)
      await catalog.refreshNow(event?.topic, event?.generation)
      expect([known()?.generation, known()?.columns.length]).toEqual([first + k, k + 2])
    }
    // A generation without any visible change counts as well.
    await catalog.refreshNow(known()?.relid, first + 9)
    expect(known()?.generation).toBe(first + 9)
    // A request for a table that is not watched does not wait.
    await catalog.refreshNow('1', 5)
    await close()
  })

  it('is read once for all requests that arrive meanwhile', async () => {
    await log.query(
      'create schema aside; create sequence aside.calls; alter function listenql.refresh(oid, int) set schema aside',
    )
    await log.query(`create function listenql.refresh(a oid default null, b int default null)
      returns table (relid oid, schema_name text, table_name text, change text, detail text) language sql security definer
      as $$ select nextval('aside.calls'); select * from aside.refresh($1, $2) $$;
      grant execute on function listenql.refresh(oid, int) to ${watched.server.name}`)
    const { catalog, close } = watching(watched.server.config)
    await catalog.refreshNow()
    const calls = async () => Number((await log.query('select last_value from aside.calls'))[0]?.last_value)
    const before = await calls()
    const [row] = await log.query(`select 'first'::regclass::oid::text as oid`)
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        i % 2 ? catalog.refreshNow() : catalog.refreshNow(String(row?.oid), 1),
      ),
    )
    expect((await calls()) - before).toBeLessThanOrEqual(3)
    await close()
    await log.query(
      'drop function listenql.refresh(oid, int); alter function aside.refresh(oid, int) set schema listenql; drop schema aside cascade',
    )
  })
})

describe('the catalogue reports', () => {
  it('a table with a defect, once per defect', async () => {
    await watched.table('id int primary key', 'lame')
    const { catalog, observed, close } = watching(watched.server.config)
    await catalog.refreshNow()
    for (const round of [1, 2]) {
      await log.query('alter table lame disable trigger listenql_update')
      const before = observed.all('table.changed', { table: 'lame' }).length
      for (let i = 0; i < 6; i++) await catalog.refreshNow()
      expect(names(catalog.tables)).not.toContain('lame')
      // No line claims that it is watched in a new generation.
      expect(observed.all('table.changed', { table: 'lame' })).toHaveLength(before)
      expect(observed.all('table.lacking')).toHaveLength(round)
      await log.query('alter table lame enable trigger listenql_update')
      for (let i = 0; i < 3; i++) await catalog.refreshNow()
      expect(names(catalog.tables)).toContain('lame')
    }
    expect(observed.all('table.lacking')[0]).toMatchObject({
      table: 'lame',
      detail: expect.stringContaining('disabled'),
    })
    await log.query(`select listenql.unwatch('lame')`)
    await close()
  })

  it('a table that is dropped and created again', async () => {
    await watched.table('id int primary key', 'phoenix')
    const { catalog, observed, close } = watching(watched.server.config)
    await catalog.refreshNow()
    await log.query('drop table phoenix')
    for (let i = 0; i < 3; i++) await catalog.refreshNow()
    expect(names(catalog.tables)).not.toContain('phoenix')
    await log.query('create table phoenix (id int primary key)')
    for (let i = 0; i < 3; i++) await catalog.refreshNow()
    // As the owner of the table, the log may create its triggers again.
    expect(names(catalog.tables)).toContain('phoenix')
    expect(observed.all('table.changed', { table: 'phoenix' }).map(({ change }) => change)).toEqual([
      'gone',
      'again',
      'generation',
    ])
    await log.query(`select listenql.unwatch('phoenix')`)
    await close()
  })

  it('a missing log once, and finds one that is installed later', async () => {
    const empty = await createLog({ migrated: false })
    const login = await createServerLogin(empty, { granted: false })
    const { catalog, lists, observed, until, close } = watching(login.config, 10)
    await until('an empty list', list => list.length === 0)
    for (let i = 0; i < 5; i++) await catalog.refreshNow()
    expect(observed.all('catalog.absent')).toHaveLength(1)
    expect(observed.all('catalog.failed')).toEqual([])
    await migrate(await empty.connect())
    await empty.query(grantSql(login.name))
    await empty.query('create table late (id int primary key)')
    await empty.watch('late')
    await until('the table', list => names(list)?.join() === 'late')
    await empty.query('drop table late; drop schema listenql cascade')
    await until('nothing again', list => list.length === 0)
    expect(lists.map(names)).toEqual([[], ['late'], []])
    await close()
    await login.close()
    await empty.close()
  })

  it('a missing privilege once, and uses it when it is granted', async () => {
    const login = await createServerLogin(log, { granted: false })
    const { catalog, observed, until, close } = watching(login.config, 10)
    await observed.until('catalog.failed')
    for (let i = 0; i < 5; i++) await catalog.refreshNow()
    await log.query(
      `grant usage on schema listenql to ${login.name}; grant select on listenql.watched to ${login.name}`,
    )
    await until('the tables', list => names(list)?.includes('first') === true)
    await observed.until('catalog.failed', {}, 2)
    for (let i = 0; i < 5; i++) await catalog.refreshNow('1', 7)
    expect(observed.all('catalog.failed').map(({ message, hint }) => [message, hint])).toEqual([
      [
        expect.stringContaining('listenql.watched'),
        expect.stringContaining(`listenql install --grant-to ${login.name}`),
      ],
      [
        expect.stringContaining('listenql.refresh'),
        expect.stringContaining(`listenql install --grant-to ${login.name}`),
      ],
    ])
    await log.query(grantSql(login.name))
    await log.query('alter table first add column more int')
    await until('the column', list => list.find(({ name }) => name === 'first')?.columns.length === 3)
    await log.query(`revoke all on listenql.watched from ${login.name}`)
    await observed.until('catalog.failed', {}, 3)
    expect(names(catalog.tables)).toContain('first') // the previous list rather than an empty one
    await close()
    await login.close()
  })

  it('nothing for a login whose transactions are read-only and serializable by default', async () => {
    const { name } = watched.server
    await log.database.query(`alter role ${name} set default_transaction_read_only = on;
      alter role ${name} set default_transaction_isolation = 'serializable'`)
    const { catalog, observed, close } = watching(watched.server.config)
    await log.query('alter table first add column even_more int')
    for (let i = 0; i < 2; i++) await catalog.refreshNow()
    expect(catalog.tables?.find(one => one.name === 'first')?.columns.length).toBe(4)
    expect(observed.all('catalog.failed')).toEqual([])
    await close()
    await log.database.query(`alter role ${name} reset all`)
  })
})

describe('a database', () => {
  it('that is down for a while is reported once, then the catalogue continues', async () => {
    const { catalog, observed, until, close } = watching(watched.server.config, 10)
    await until('the tables', list => names(list)?.includes('first') === true)
    const { name } = watched.server
    const admin = async (sql: string) => await log.database.query(sql)
    await admin(`alter role ${name} nologin`)
    await admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listenql catalog' and usename = '${name}'`,
    )
    await observed.until('catalog.failed')
    const asked = catalog.refreshNow()
    let isAnswered = false
    void asked.then(() => {
      isAnswered = true
    })
    await log.query(`comment on table first is 'written during the outage'`)
    expect(isAnswered).toBe(false)
    await admin(`alter role ${name} login`)
    await asked
    await until('the comment', list => list.some(({ comment }) => comment === 'written during the outage'))
    // The end of the connection and the reason why it cannot be opened: only these two, for any number of
    // attempts.
    expect(observed.all('catalog.failed').length).toBeLessThanOrEqual(2)
    await close()
  })

  it('in which another session blocks the refresh is refreshed at the next interval', async () => {
    await log.query(
      'create schema aside; create sequence aside.calls; alter function listenql.refresh(oid, int) set schema aside',
    )
    await log.query(`create function listenql.refresh(a oid default null, b int default null)
      returns table (relid oid, schema_name text, table_name text, change text, detail text) language plpgsql security definer as $$
      begin
        if nextval('aside.calls') % 3 <> 0 then
          raise exception 'in the way' using errcode = case when random() < 0.5 then '55P03' else '40001' end;
        end if;
        return query select * from aside.refresh(a, b);
      end $$;
      grant execute on function listenql.refresh(oid, int) to ${watched.server.name}`)
    const { catalog, observed, close } = watching(watched.server.config)
    await log.query('alter table first add column late int')
    const [row] = await log.query(
      `select w.relid::text, w.generation from listenql.watched w where table_name = 'first'`,
    )
    await catalog.refreshNow(String(row?.relid), Number(row?.generation) + 1)
    expect(catalog.tables?.find(({ name }) => name === 'first')?.generation).toBe(Number(row?.generation) + 1)
    expect(observed.all('catalog.failed')).toEqual([])
    await close()
    await log.query(
      'drop function listenql.refresh(oid, int); alter function aside.refresh(oid, int) set schema listenql; drop schema aside cascade',
    )
  })

  it('that does not answer prevents neither closing nor a client from leaving', async () => {
    const blocker = await log.connect()
    await blocker.query('begin; lock table listenql.watched_table')
    const { catalog, close } = watching(watched.server.config, 10)
    const leaving = new AbortController()
    const left = expect(catalog.refreshNow(undefined, undefined, leaving.signal)).rejects.toThrow('gone')
    const waiting = catalog.refreshNow('1', 1)
    leaving.abort(new Error('gone'))
    await left
    await waitUntil(
      async () =>
        (
          await log.database.query(`select from pg_stat_activity where application_name = 'listenql catalog'
          and wait_event_type = 'Lock' and datname = current_database()`)
        ).length > 0,
      'a look that waits',
    )
    await Promise.all([close(), close()])
    await waiting
    await catalog.refreshNow()
    await blocker.query('rollback')
  })
})
