import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createDeferred, type Deferred } from '../../../src/lib/deferred.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import { LogFollower } from '../../../src/log/log-follower.js'
import { PAGE_EVENTS } from '../../../src/log/log-queries.js'
import { migrate } from '../../../src/log/migrations.js'
import type { Doorbell } from '../../../src/log/pace/doorbell.js'
import { createLeadership, type Leadership } from '../../../src/log/pace/leadership.js'
import type { Query } from '../../../src/postgres/queryable.js'
import { Inbox } from '../../support/inbox.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { waitUntil } from '../../support/wait.js'

/** The locks of this database. */
const HELD = `select from pg_locks l join pg_database d on d.oid = l.database where l.locktype = 'advisory' and d.datname = current_database()`

let database: TestDatabase
const cleanUps: (() => unknown)[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  const client = new pg.Client(database.adminUrl)
  await client.connect()
  await migrate(client)
  // Who adds a batch to the ledger.
  await client.query(`
    create table cut (n bigint, pid int);
    create function note_cut() returns trigger language plpgsql security definer as $$
      begin insert into public.cut values (new.n, pg_backend_pid()); return new; end $$;
    create trigger note_cut before insert on listenql.batch for each row execute function note_cut()`)
  await client.end()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  // Postgres releases the locks of a session a moment after its connection was closed.
  const { query, end } = await connect()
  await waitUntil(async () => (await query(HELD)).length === 0)
  await end()
  cleanUps.pop()
})
afterAll(() => database.close())

async function connect(): Promise<{ query: Query; end: () => Promise<void> }> {
  const client = new pg.Client(database.adminUrl)
  await client.connect()
  let ended: Promise<void> | undefined
  const end = () => {
    ended ??= client.end()
    return ended
  }
  cleanUps.push(end)
  return { query: async (sql, values) => (await client.query(sql, values as unknown[])).rows, end }
}

describe('leadership', () => {
  it('has one server, which keeps it until its connection ends; then another one gets it', async () => {
    const [first, second, third] = [await connect(), await connect(), await connect()]
    const [a, b, c] = [first, second, third].map(({ query }) => createLeadership(query)) as [Leadership, Leadership, Leadership] // biome-ignore format: one line
    for (const one of [a, b, c]) await one.check()
    expect([a.leads, b.leads, c.leads]).toEqual([true, false, false])
    expect([a.servers, b.servers, c.servers]).toEqual([1, 2, 3])
    await waitUntil(async () => {
      await b.check()
      return b.servers === 3
    })
    expect(b.leads).toBe(false)
    await first.end()
    await waitUntil(async () => {
      for (const one of [b, c]) await one.check()
      return b.leads || c.leads
    })
    expect([b.leads, c.leads].filter(Boolean)).toHaveLength(1)
  })

  it('is assumed where Postgres refuses to tell, and a lost connection is an error', async () => {
    const { query } = await connect()
    const refused = createLeadership(() => query('select from no_such_function()'))
    await refused.check()
    expect([refused.leads, refused.servers]).toEqual([true, 1])
    const lost = createLeadership(async () => {
      throw new Error('Connection terminated unexpectedly')
    })
    await expect(lost.check()).rejects.toThrow('terminated')
  })

  it('asks the database only if it is due, and never again once it leads', async () => {
    const { query } = await connect()
    const asked: string[] = []
    const counted: Query = (sql, values) => {
      asked.push(sql)
      return query(sql, values)
    }
    const one = createLeadership(counted)
    for (let i = 0; i < 5; i++) await one.check()
    expect(asked).toHaveLength(2)
    const other = createLeadership(counted)
    for (let i = 0; i < 5; i++) await other.check()
    expect(asked).toHaveLength(4)
  })
})

/** A server whose reader of the log reads a page whenever the test says so. */
async function serve(lost: (error: Error) => unknown = error => Promise.reject(error)) {
  let turn: Deferred | undefined
  const turns: { found: number; servers: number }[] = []
  const doorbell: Doorbell = {
    next(found, _, servers = 1) {
      turns.push({ found, servers })
      const next = createDeferred()
      turn = next
      return next.promise
    },
    ring: () => undefined,
    onListening: () => undefined,
    reset: () => undefined,
    wake: () => turn?.resolve(),
  }
  const log = new LogFollower({
    config: { connectionString: database.adminUrl },
    doorbell,
    keepsPrepared: true,
    connectTimeout: 5000,
    reconnectMax: 100,
    observe: () => undefined,
  })
  cleanUps.push(() => log.close())
  const events = new Inbox<LogEvent>()
  log.follow('c', 'news', { event: events.push, lost: error => void lost(error) })
  log.start()
  await log.started()
  await waitUntil(() => turns.length > 0)
  return {
    log,
    turns,
    events,
    /** Reads once. @returns the texts of the events that it has read */
    async read(): Promise<(string | null)[]> {
      const before = turns.length
      log.wake()
      await waitUntil(() => turns.length > before)
      return events.drain().map(event => event.new)
    },
  }
}

async function cutters(): Promise<Set<number>> {
  const client = new pg.Client(database.adminUrl)
  await client.connect()
  const { rows } = await client.query('with c as (delete from cut returning pid) select distinct pid from c')
  await client.end()
  return new Set(rows.map(({ pid }) => pid))
}

describe('a server that does not lead', () => {
  it('reads what the leader adds, adds nothing to it, and paces itself by the number of servers', async () => {
    const { query } = await connect()
    const publish = (text: string) => query('select listenql.publish($1, $2)', ['news', text])
    const leader = await serve()
    const other = await serve()
    await publish('one')
    expect(await leader.read()).toEqual(['one'])
    expect(await other.read()).toEqual(['one'])
    await publish('two')
    expect(await leader.read()).toEqual(['two'])
    await publish('three')
    await cutters()
    expect(await other.read()).toEqual(['two'])
    expect(await cutters()).toEqual(new Set())
    expect(other.turns.at(-1)).toEqual({ found: 1, servers: 2 })
    expect(leader.turns.at(-1)).toEqual({ found: 1, servers: 1 })
    expect(await leader.read()).toEqual(['three'])
    expect(await other.read()).toEqual(['three'])
  })

  it('looks for itself once it finds nothing that was added: no event depends on the leader', async () => {
    const { query } = await connect()
    const publish = (text: string) => query('select listenql.publish($1, $2)', ['news', text])
    const leader = await serve()
    const other = await serve()
    for (const text of ['one', 'two', 'three']) {
      await publish(text)
      expect(await other.read()).toEqual([text])
    }
    expect(await leader.read()).toEqual(['one', 'two', 'three'])
    expect(await other.read()).toEqual([])
    await publish('four')
    expect(await other.read()).toEqual(['four'])
    // After a page with an event it reads first, finds nothing, and looks for itself within the same turn.
    await publish('five')
    expect(await other.read()).toEqual(['five'])
    expect((await cutters()).size).toBeGreaterThan(0)
  })

  it('notices the end of a history once: nothing is lost after it', async () => {
    const { query } = await connect()
    const publish = (text: string) => query('select listenql.publish($1, $2)', ['news', text])
    const leader = await serve(() => undefined)
    const again: Promise<unknown>[] = []
    const other = await serve(() => {
      other.log.follow('c', 'news', { event: other.events.push, lost: () => undefined })
      again.push(publish('after the loss').then(() => query('select listenql.cut_batch()'))) // as another server does
    })
    await publish('before')
    await leader.read()
    expect(await other.read()).toEqual(['before'])
    await query(`with lost as (delete from listenql.batch where n = (select max(n) from listenql.batch) returning xids)
      delete from listenql.event where xid in (select unnest(xids) from lost)`)
    const read = await other.read()
    expect(other.log.histories).toBe(1)
    await Promise.all(again)
    expect([...read, ...(await other.read())]).toEqual(['after the loss'])
  })

  it('does not wait between the short pages with which it looks for an event that cannot be read', async () => {
    const { query } = await connect()
    const leader = await serve()
    const other = await serve()
    for (const text of ['one', 'two', 'three']) await query('select listenql.publish($1, $2)', ['news', text])
    const [pull] = await query(`select pg_get_functiondef('listenql.pull'::regproc) as sql`)
    await query(`create or replace function listenql.pull(after_n bigint, after_token bigint, after_ord int, after_statement int,
      after_id bigint, max_rows int) returns setof listenql.delivery language plpgsql security definer as $$
      begin raise exception 'cannot be read'; end $$`)
    await waitUntil(() => {
      other.log.wake()
      return other.log.state === 'stalled'
    })
    await query(String(pull?.sql))
    await waitUntil(() => other.turns.at(-1)?.found === PAGE_EVENTS)
    const texts = other.events.drain().map(event => event.new)
    while (texts.length < 3) texts.push(...(await other.read()))
    expect(texts).toEqual(['one', 'two', 'three'])
    expect((await leader.read()).length).toBe(3)
  })

  it('leads once the leader has gone', async () => {
    const leader = await serve()
    const other = await serve()
    await other.read()
    expect(other.turns.at(-1)?.servers).toBe(2)
    await leader.log.close()
    await waitUntil(async () => {
      await other.read()
      return other.turns.at(-1)?.servers === 1
    })
  })
})
