import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createImageReader, EVERYTHING } from '../../src/filters/index.js'
import type { LogEvent } from '../../src/log/log-event.js'
import { newest, pull, read } from '../../src/log/log-queries.js'
import { comparePositions, decodePlain, type Position } from '../../src/log/position.js'
import type { Snapshot, SnapshotRequest } from '../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots, type SnapshotsOptions } from '../../src/snapshots/snapshots.js'
import { PLAIN } from '../support/cursors.js'
import type { TestLog } from '../support/log.js'
import { createObserved } from '../support/observed.js'
import { createServerLogin } from '../support/server-login.js'
import { waitUntil } from '../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let log: TestLog
let client: pg.Client
let snapshots: Snapshots

const ALL: SnapshotRequest = { filter: EVERYTHING, orderBy: [], limit: 10_000, offset: 0 }

function start(more: Partial<SnapshotsOptions> = {}): Snapshots {
  return createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    cursors: PLAIN,
    ...more,
  })
}

beforeAll(async () => {
  watched = await createWatchedLog()
  ;({ log, client } = watched)
  snapshots = start()
})
afterAll(async () => {
  await snapshots.close()
  await watched.close()
})

async function readAfter(after: Position): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  for (let at = after; ; ) {
    const page = await read(client, at)
    events.push(...page.events)
    at = page.position
    if (page.isLast) return events
  }
}

const ids = ({ rows }: Snapshot) => rows.map(row => row.get('id'))

/** Waits until a connection of the snapshots waits for a lock. */
const untilBlocked = () =>
  waitUntil(
    async () =>
      (
        await log.database.query(`select from pg_stat_activity where datname = current_database()
          and application_name = 'listenql snapshot' and wait_event_type = 'Lock'`)
      ).length > 0,
    'a snapshot to wait for a lock',
  )

/** Blocks listenql.cut() for a while. */
async function wrapCut<T>(before: string, work: () => Promise<T>): Promise<T> {
  await log.query(`create schema aside; alter function listenql.cut() set schema aside; create sequence aside.cuts;
    create function listenql.cut(out n bigint, out token bigint) language plpgsql security definer as $$
    declare k bigint := nextval('aside.cuts'); begin ${before} select * into n, token from aside.cut(); end $$;
    grant execute on function listenql.cut() to ${watched.server.name}`)
  try {
    return await work()
  } finally {
    await log.query(
      `drop function listenql.cut(); alter function aside.cut() set schema listenql; drop schema aside cascade`,
    )
  }
}

const cuts = async () =>
  Number(
    (await log.query('select case when is_called then last_value else 0 end as k from aside.cuts'))[0]?.k,
  )

describe('a snapshot and the changes after it', () => {
  const CONTENT = 'id int primary key, v int, note text'

  /** A random transaction; it rolls back on a conflict (a deadlock, a duplicate key). */
  async function write(writer: pg.Client, random: () => number): Promise<void> {
    const id = () => Math.floor(random() * 40)
    const v = () => Math.floor(random() * 1000)
    const statement = () => {
      const dice = random()
      if (dice < 0.35)
        return `insert into meet values (${id()}, ${v()}, 'new') on conflict (id) do update set v = excluded.v, note = 'again'`
      if (dice < 0.6) return `update meet set v = v + 1 where id = ${id()}`
      if (dice < 0.7)
        return `update meet set id = id + 1000 where id = ${id()} and not exists (select from meet where id >= 1000)`
      if (dice < 0.85) return `delete from meet where id = ${id()}`
      if (dice < 0.95) return `update meet set note = 'many' where id between ${id()} and ${id()}`
      if (dice < 0.97) return 'truncate meet'
      return `insert into meet select i, 0, 'all' from generate_series(1, 20) i on conflict do nothing`
    }
    try {
      await writer.query('begin')
      for (let left = 1 + Math.floor(random() * 4); left > 0; left--) {
        await writer.query('savepoint s')
        await writer.query(statement())
        if (random() < 0.2) await writer.query('rollback to savepoint s')
        if (random() < 0.3) await writer.query('select pg_sleep(0.003)')
      }
      await writer.query(random() < 0.15 ? 'rollback' : 'commit')
    } catch {
      await writer.query('rollback')
    }
  }

  /** Applies changes and returns the misfits: a change that was shown already, or one that is missing. */
  function apply(state: Map<unknown, string>, of: WatchedTable, events: readonly LogEvent[]): string[] {
    const readImage = createImageReader(of.columns)
    const key = (image: string) => readImage(image).get('id')
    const wrong: string[] = []
    for (const { operation, old, new: now } of events) {
      if (operation === 'T') state.clear()
      if (old !== null) {
        if (state.get(key(old)) !== old) wrong.push(`${operation} of ${old} meets ${state.get(key(old))}`)
        state.delete(key(old))
      }
      if (now !== null) {
        if (state.has(key(now))) wrong.push(`${operation} of ${now} meets ${state.get(key(now))}`)
        state.set(key(now), now)
      }
    }
    return wrong
  }

  const image = (row: Snapshot['rows'][number]) =>
    JSON.stringify({ id: row.get('id'), v: row.get('v'), note: row.get('note') })
  const stateOf = ({ rows }: Snapshot) =>
    new Map<unknown, string>(rows.map(row => [row.get('id'), image(row)]))
  const sorted = (state: Map<unknown, string>) => [...state.values()].sort()

  it('meet at the cursor while several writers and another server are active', {
    timeout: 90_000,
  }, async () => {
    const of = await watched.table(CONTENT, 'meet')
    const beginning = await newest(client)
    const taken: Snapshot[] = []
    const others = await Promise.all(Array.from({ length: 5 }, () => log.connect()))
    const poller = await watched.server.connect()
    let seed = 20_241_123
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return seed / 2 ** 31
    }
    let isWriting = true
    async function takeSnapshots(): Promise<void> {
      while (isWriting) taken.push(await snapshots.snapshot(of, ALL))
    }
    async function poll(): Promise<void> {
      for (let at = beginning; isWriting; ) at = (await pull(poller, at)).position
    }
    const reading = [takeSnapshots(), takeSnapshots(), takeSnapshots(), poll()]
    await Promise.all(
      others.map(async writer => {
        for (let i = 0; i < 70; i++) await write(writer, random)
      }),
    )
    isWriting = false
    await Promise.all(reading)
    taken.push(await snapshots.snapshot(of, ALL))

    const history = await readAfter(beginning)
    expect(history.length).toBeGreaterThan(200)
    const positions = taken.map(({ cursor }) => decodePlain(cursor))
    expect(new Set(positions.map(({ n }) => n)).size).toBeGreaterThan(20)
    const [table] = await log.query(`select json_agg(row_to_json(t)::text) as rows from meet t`)
    const final = ((table?.rows as string[] | null) ?? []).sort()
    const step = Math.ceil(taken.length / 80)
    for (const [i, snapshot] of taken.entries()) {
      if (i % step !== 0 && i !== taken.length - 1) continue

      const position = positions[i] as Position
      const at = history.findIndex(event => comparePositions(event.position, position) > 0)
      const seam = at === -1 ? history.length : at
      // The snapshot shows what was done up to its cursor, ...
      const before = new Map<unknown, string>()
      expect(apply(before, of, history.slice(0, seam))).toEqual([])
      expect(sorted(stateOf(snapshot))).toEqual(sorted(before))
      // ... and the changes after its cursor are exactly the rest.
      const state = stateOf(snapshot)
      const after = history.slice(seam)
      if (i % (10 * step) === 0) {
        const page = await readAfter(position)
        expect(page.map(event => event.position)).toEqual(after.map(event => event.position))
      }
      expect(apply(state, of, after)).toEqual([])
      expect(sorted(state)).toEqual(final)
    }
  })

  it('include in the snapshot what was committed before the request', async () => {
    const of = await watched.table('id int primary key', 'mine')
    await Promise.all(
      Array.from({ length: 4 }, async (_, w) => {
        for (let i = 0; i < 25; i++) {
          await log.query('insert into mine values ($1)', [w * 100 + i])
          expect(ids(await snapshots.snapshot(of, ALL))).toContain(w * 100 + i)
        }
      }),
    )
  })

  it('agree if a TRUNCATE commits between the cut and the read', async () => {
    const of = await watched.table('id int primary key', 'emptied')
    await log.query('insert into emptied values (1), (2)')
    const other = await log.connect()
    await other.query('begin; truncate emptied; insert into emptied values (3)')
    const pending = snapshots.snapshot(of, ALL)
    await untilBlocked()
    await other.query('commit')
    const snapshot = await pending
    expect(ids(snapshot)).toEqual([3])
    expect(await readAfter(decodePlain(snapshot.cursor))).toEqual([])
  })

  it('do not delay followers of the log during a slow read', async () => {
    const of = await watched.table('id int primary key', 'slow')
    await watched.table('id int primary key', 'quick')
    const other = await log.connect()
    await log.query('insert into quick values (1)') // the cut creates a batch
    await other.query('begin; lock table slow')
    const pending = snapshots.snapshot(of, ALL)
    await untilBlocked()
    const from = await newest(client)
    await log.query('insert into quick values (2)')
    const page = await pull(client, from)
    expect(page.events.map(event => event.new)).toEqual(['{"id":2}'])
    // Readers of other tables are not delayed either.
    expect(ids(await snapshots.snapshot(await watched.find('quick'), ALL))).toEqual([1, 2])
    await other.query('commit')
    const snapshot = await pending
    expect((await readAfter(decodePlain(snapshot.cursor))).map(event => event.new)).toContain('{"id":2}')
  })
})

describe('cuts', () => {
  it('are shared: a thousand simultaneous requests share one, and requests that arrive meanwhile share the next', async () => {
    const of = await watched.table('id int primary key', 'shared')
    await log.query('insert into shared select generate_series(1, 50)')
    const own = start({ readers: 3 })
    await wrapCut('perform pg_advisory_xact_lock(77);', async () => {
      const gate = await log.connect()
      await gate.query('begin; select pg_advisory_xact_lock(77)')
      const ask = (count: number) =>
        Array.from({ length: count }, (_, i) => own.snapshot(of, { ...ALL, limit: (i % 60) + 1 }))
      const first = ask(1000)
      await untilBlocked()
      const second = ask(500)
      await gate.query('commit')
      const all = await Promise.all([...first, ...second])
      expect(all.map(({ rows }) => rows.length)).toEqual(
        [...first, ...second].map((_, i) => Math.min(50, ((i < 1000 ? i : i - 1000) % 60) + 1)),
      )
      expect(await cuts()).toBe(2)
      const [connections] = await log.database.query(
        `select count(*)::int as count from pg_stat_activity where usename = $1 and application_name = 'listenql snapshot'`,
        [watched.server.name],
      )
      // The connections of `snapshots`, if it has any left, too.
      expect(connections?.count).toBeLessThanOrEqual(4 + 5)
    })
    await own.close()
  })

  it('create no batch if nothing is new', async () => {
    const of = await watched.table('id int primary key', 'still')
    const { cursor } = await snapshots.snapshot(of, ALL)
    for (let i = 0; i < 5; i++) expect((await snapshots.snapshot(of, ALL)).cursor).toBe(cursor)
    await log.query('insert into still values (1)')
    expect((await snapshots.snapshot(of, ALL)).cursor).not.toBe(cursor)
  })

  it('that lose a race are repeated immediately', async () => {
    const of = await watched.table('id int primary key', 'raced')
    await snapshots.snapshot(of, ALL)
    // Another server creates the next batch and commits while this cut waits for it.
    const from = await newest(client)
    await log.query('insert into raced values (1)')
    const other = await watched.server.connect()
    await other.query('begin isolation level read committed')
    const theirs = await pull(other, from)
    await log.query('insert into raced values (2)')
    const pending = snapshots.snapshot(of, ALL)
    await untilBlocked()
    await other.query('commit')
    const snapshot = await pending
    expect(ids(snapshot)).toEqual([1, 2])
    expect(decodePlain(snapshot.cursor).n).toBe(theirs.position.n + 1)
    // And as often as necessary.
    await wrapCut(`if k < 10 then raise exception 'lost' using errcode = '40001'; end if;`, async () => {
      expect(ids(await snapshots.snapshot(of, ALL))).toEqual([1, 2])
      expect(await cuts()).toBe(10)
    })
  })

  it('are also the reading transaction if Postgres does not let a snapshot be exported', async () => {
    const of = await watched.table('id int primary key', 'lonely')
    await log.database.query('revoke execute on function pg_export_snapshot() from public')
    const own = start()
    try {
      for (let i = 1; i <= 3; i++) {
        await log.query('insert into lonely values ($1)', [i])
        const both = await Promise.all([own.snapshot(of, ALL), own.snapshot(of, { ...ALL, limit: 1 })])
        expect(both.map(({ rows }) => rows.length)).toEqual([i, 1])
        const { cursor } = both[0] as Snapshot
        expect(await readAfter(decodePlain(cursor))).toEqual([])
        expect(decodePlain(cursor)).toEqual(await newest(client))
      }
      // Something is new at every cut, so the transaction that created the batch has to read.
      const busy = `insert into public.lonely values (100 + k::int);`
      await wrapCut(`${busy} perform aside.cut();`, async () => {
        const many = await Promise.all([1, 2, 3].map(limit => own.snapshot(of, { ...ALL, limit })))
        expect(many.map(({ rows }) => rows.length)).toEqual([1, 2, 3])
      })
    } finally {
      await own.close()
      await log.database.query('grant execute on function pg_export_snapshot() to public')
    }
  })
})

describe('a snapshot is refused', () => {
  it('without SELECT, with the grant in the message; once it is granted the same server reads', async () => {
    await log.query('create table "Geheim" (id int primary key); insert into "Geheim" values (7)')
    await log.watch('"Geheim"')
    const of = await watched.find('Geheim')
    expect(of.readable).toBe(false)
    const { name } = watched.server
    await expect(snapshots.snapshot(of, ALL)).rejects.toMatchObject({
      code: 'TABLE_NOT_READABLE',
      hint: `grant usage on schema "public" to "${name}"; grant select on "public"."Geheim" to "${name}";`,
    })
    await watched.server.mayRead('Geheim')
    expect(ids(await snapshots.snapshot(of, ALL))).toEqual([7])
  })

  it('without privileges on the log', async () => {
    const of = await watched.table('id int primary key', 'open')
    const stranger = await createServerLogin(log, { granted: false })
    const observed = createObserved()
    const own = start({ config: stranger.config, observe: observed.observe })
    await expect(own.snapshot(of, ALL)).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
      hint: expect.stringContaining('listenql install --grant-to'),
    })
    expect(observed.all('snapshot.failed')).toMatchObject([{ table: 'open' }])
    await own.close()
    await stranger.close()
  })

  it('if the table has changed: altered, watched again, dropped, or without a whole history', async () => {
    let of = await watched.table('id int primary key, v int', 'altered')
    const changed = { code: 'SCHEMA_CHANGED' }
    const steps = [
      'alter table altered add column w int', 'alter table altered rename v to x', 'alter table altered alter x type text',
      'alter table altered drop column w', `select listenql.unwatch('altered'); select listenql.watch('altered')`,
    ] // biome-ignore format: a list
    for (const step of steps) {
      expect((await snapshots.snapshot(of, ALL)).rows).toEqual([])
      await log.query(step)
      await expect(snapshots.snapshot(of, ALL), step).rejects.toMatchObject(changed)
      await log.refresh()
      await expect(snapshots.snapshot(of, ALL), `${step}, refreshed`).rejects.toMatchObject(changed)
      of = await watched.find('altered')
    }
    await log.query('alter table altered disable trigger listenql_insert; select listenql.refresh()')
    await expect(snapshots.snapshot(of, ALL)).rejects.toMatchObject(changed)
    await log.query('alter table altered enable trigger listenql_insert; select listenql.refresh()')
    of = await watched.find('altered')
    expect((await snapshots.snapshot(of, ALL)).rows).toEqual([])
    await log.query(`select listenql.unwatch('altered')`)
    await expect(snapshots.snapshot(of, ALL)).rejects.toMatchObject(changed)
    await log.query('drop table altered')
    await expect(snapshots.snapshot(of, ALL)).rejects.toMatchObject(changed)
  })

  it('if the table is altered between the cut and the read', async () => {
    for (const step of [
      'alter v type bigint',
      'rename v to w',
      'drop column v',
      'rename v to tmp; alter table between rename u to v',
    ]) {
      const of = await watched.table('id int primary key, v int, u int', 'between')
      await log.query('insert into between values (1, 2, 3)')
      const other = await log.connect()
      await other.query(`begin; alter table between ${step}`)
      const pending = snapshots.snapshot(of, ALL)
      const outcome = expect(pending, step).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' })
      await untilBlocked()
      await other.query('commit')
      await outcome
    }
  })

  it('if its rows are too large or take too long', async () => {
    const of = await watched.table('id int primary key, v text', 'large')
    await log.query(`insert into large select i, repeat('x', 10000) from generate_series(1, 100) i`)
    const own = start({ maxBytes: () => 500_000, queryTimeout: 1000, readers: 1 })
    await expect(own.snapshot(of, ALL)).rejects.toMatchObject({ code: 'RESULT_TOO_LARGE' })
    expect((await own.snapshot(of, { ...ALL, limit: 40 })).rows.length).toBe(40)
    const other = await log.connect()
    await other.query('begin; lock table large')
    const first = own.snapshot(of, ALL)
    const refused = expect(first).rejects.toMatchObject({
      code: 'QUERY_TIMEOUT',
      message: expect.stringContaining('took longer'),
    })
    await untilBlocked()
    // The only connection is busy: this request waits, but no longer than its timeout.
    await expect(own.snapshot(of, { ...ALL, limit: 1 })).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' })
    await refused
    await other.query('commit')
    expect((await own.snapshot(of, { ...ALL, limit: 1 })).rows.length).toBe(1)
    await own.close()
  })
})

describe('connections', () => {
  it('that are lost during a read are replaced', async () => {
    const of = await watched.table('id int primary key', 'lost')
    await log.query('insert into lost values (1)')
    const other = await log.connect()
    await other.query('begin; lock table lost')
    const pending = snapshots.snapshot(of, ALL)
    await untilBlocked()
    await log.database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listenql snapshot' and usename = $1`,
      [watched.server.name],
    )
    await other.query('commit')
    expect(ids(await pending)).toEqual([1])
  })

  it('that cannot be opened cause an error immediately', async () => {
    const observed = createObserved()
    const own = start({ config: { ...watched.server.config, password: 'wrong' }, observe: observed.observe })
    await expect(own.snapshot(await watched.find('mine'), ALL)).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
    })
    expect(observed.all('snapshot.failed').length).toBe(1)
    await own.close()
  })

  it('are closed with the server, which refuses waiting requests', async () => {
    const of = await watched.table('id int primary key', 'closing')
    const own = start()
    const other = await log.connect()
    await other.query('begin; lock table closing')
    const reading = own.snapshot(of, ALL)
    const refused = expect(reading).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
    await untilBlocked()
    await Promise.all([own.close(), own.close()])
    await refused
    await expect(own.snapshot(of, ALL)).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
    await other.query('commit')
  })

  it('do not block a client that has left', async () => {
    const of = await watched.table('id int primary key', 'left')
    const leaving = new AbortController()
    const other = await log.connect()
    await other.query('begin; lock table "left"')
    const pending = snapshots.snapshot(of, ALL, leaving.signal)
    await untilBlocked()
    leaving.abort(new Error('gone'))
    await expect(pending).rejects.toThrow('gone')
    await expect(snapshots.snapshot(of, ALL, leaving.signal)).rejects.toThrow('gone')
    await other.query('commit')
  })
})
