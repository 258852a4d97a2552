import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { TableColumn, WatchedTable } from '../../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../../src/filters/index.js'
import { newest, pull } from '../../../src/log/log-queries.js'
import { comparePositions } from '../../../src/log/position.js'
import { planOf, type ReadAs, type Snapshot } from '../../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../../src/snapshots/snapshots.js'
import { PLAIN } from '../../support/cursors.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'

/* Reads that are known to be quick are made by the transaction that cuts, in one message. */

let watched: WatchedLog
let roles: ViewerRoles
let people: WatchedTable
let large: WatchedTable
let snapshots: Snapshots

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  people = await watched.table('id int primary key, name text not null', 'people')
  large = await watched.table('id int primary key, amount numeric', 'large')
})
afterEach(() => void vi.restoreAllMocks())
afterAll(async () => {
  await roles?.close()
  await watched?.close()
})
beforeEach(async () => {
  await watched.log.query('truncate people, large; insert into people values (1, $$Ada$$), (2, $$Bob$$)')
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    maxBytes: () => 100_000,
    keepsPrepared: true,
    cursors: PLAIN,
  })
  // A quick read can only be one that was read before.
  await read({ isQuick: false })
  await read({ isQuick: false, of: large })
  return () => snapshots.close()
})

interface Asked {
  readonly of?: WatchedTable
  readonly limit?: number
  readonly as?: ReadAs
  readonly isQuick?: boolean
  readonly expected?: number
}

function read({
  of = people,
  limit = 10,
  as = {},
  isQuick = true,
  expected = 1,
}: Asked = {}): Promise<Snapshot> {
  const plan = planOf(of, { filter: EVERYTHING, orderBy: [], limit, offset: 0 })
  return snapshots.read(plan, as, undefined, isQuick ? expected : undefined)
}

const ids = ({ rows }: Snapshot) => rows.map(row => row.get('id'))

/** What the sessions that read have last run. */
async function lastMessages(): Promise<string[]> {
  const rows = await watched.log.database.query(
    `select query from pg_stat_activity where application_name = 'listenql snapshot' and usename = $1`,
    [watched.server.name],
  )
  return rows.map(({ query }) => String(query))
}
const isQuickMessage = (sql: string) => /^begin .*listenql\.cut\(\);/s.test(sql)

const untilBlocked = () =>
  waitUntil(
    async () =>
      (
        await watched.log.database.query(`select from pg_stat_activity where datname = current_database()
          and application_name = 'listenql snapshot' and wait_event_type = 'Lock' and query not like '%listenql.cut()%'`)
      ).length > 0,
    'another session to read',
  )

describe('quick reads', () => {
  it('show what was committed before, at the end of a batch', async () => {
    const from = await newest(watched.client)
    for (let i = 3; i < 8; i++) {
      await watched.log.query('insert into people values ($1, $$more$$)', [i])
      const snapshot = await read()
      expect(ids(snapshot)).toEqual(Array.from({ length: i }, (_, j) => j + 1))
      expect(snapshot.position).toEqual(await newest(watched.client))
      expect(comparePositions(snapshot.position, from)).toBeGreaterThan(0)
    }
    expect((await lastMessages()).filter(isQuickMessage)).toHaveLength(1)
  })

  it('share a cut, also with those that are not quick', async () => {
    const all = await Promise.all([read(), read({ limit: 1 }), read({ of: large }), read({ limit: 1 })])
    expect(all.map(ids)).toEqual([[1, 2], [1], [], [1]])
    const both = await Promise.all([read(), read({ isQuick: false, limit: 1 })])
    expect(both.map(ids)).toEqual([[1, 2], [1]])
  })

  it('are repeated if the cut loses a race', async () => {
    await read()
    const from = await newest(watched.client)
    await watched.log.query('insert into people values (3, $$Cid$$)')
    const other = await watched.server.connect()
    await other.query('begin isolation level read committed')
    await pull(other, from)
    const pending = read()
    await waitUntil(
      async () =>
        (
          await watched.log.database.query(
            `select from pg_stat_activity where application_name = 'listenql snapshot' and wait_event_type = 'Lock'`,
          )
        ).length > 0,
      'the cut to wait',
    )
    await watched.log.query('insert into people values (4, $$Dan$$)')
    await other.query('commit')
    expect(ids(await pending)).toEqual([1, 2, 3, 4])
  })

  it('do not hold up the log where a table is locked: they are read in another session', async () => {
    await read()
    const other = await watched.log.connect()
    await other.query('begin; lock table people')
    await watched.log.query('insert into large values (1, 1)') // the cut creates a batch
    const pending = read()
    await untilBlocked()
    const from = await newest(watched.client)
    await watched.log.query('insert into large values (2, 1)')
    expect((await pull(watched.client, from)).events.map(event => event.new)).toEqual(['{"id":2,"amount":1}'])
    // Other reads do not wait either.
    expect(ids(await read({ of: large }))).toEqual([1, 2])
    await other.query('commit')
    expect(ids(await pending)).toEqual([1, 2])
  })

  it('that fail do not fail others of the same message', async () => {
    await watched.log.query('insert into large values (1, 1)')
    await Promise.all([read(), read({ of: large })])
    await watched.log.query('alter table large drop column amount')
    const [good, bad] = await Promise.allSettled([read(), read({ of: large })])
    expect(good.status === 'fulfilled' && ids(good.value)).toEqual([1, 2])
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'SCHEMA_CHANGED' } })
    await watched.log.query('alter table large add amount numeric; select * from listenql.refresh()')
    large = await watched.find('large')
  })

  it('notice a table that was altered, truncated or rewritten', async () => {
    await read()
    const other = await watched.log.connect()
    await other.query('begin; truncate people; insert into people values (7, $$Eve$$)')
    const pending = read()
    await untilBlocked()
    await other.query('commit')
    expect(ids(await pending)).toEqual([7])
    // A name that the SQL does not use.
    await watched.log.query('alter table people rename to persons')
    await expect(read()).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' })
    await watched.log.query('alter table persons rename to people')
    expect(ids(await read())).toEqual([7])
  })

  it('are refused if the result has become too large', async () => {
    await read()
    await watched.log.query(
      `insert into people select 10 + i, repeat('x', 20000) from generate_series(1, 9) i`,
    )
    await expect(read()).rejects.toMatchObject({ code: 'RESULT_TOO_LARGE' })
    await watched.log.query(`update people set name = repeat('x', 200000) where id = 1`)
    await expect(read({ limit: 1 })).rejects.toMatchObject({ code: 'RESULT_TOO_LARGE' })
    expect(ids(await read({ of: large }))).toEqual([])
  })

  it('continue after something has dropped the statements of the session', async () => {
    await read()
    await watched.log.database.query(`alter function listenql.cut() set schema public;
      create function listenql.cut(out n bigint, out token bigint) language plpgsql as $$
      begin deallocate all; select * into n, token from public.cut(); end $$;
      grant execute on function listenql.cut(), public.cut() to ${watched.server.name}`)
    try {
      expect(ids(await read())).toEqual([1, 2])
      expect(ids(await read())).toEqual([1, 2])
    } finally {
      await watched.log.database.query(
        `drop function listenql.cut(); alter function public.cut() set schema listenql`,
      )
    }
  })

  it('are made by themselves after a message that ended the connection', async () => {
    await read()
    await watched.log.database.query(`alter function listenql.cut() set schema public;
      create function listenql.cut(out n bigint, out token bigint) language plpgsql security definer as $$ begin
        if current_query() like '%; execute %; execute %' then perform pg_terminate_backend(pg_backend_pid()); end if;
        select * into n, token from public.cut(); end $$;
      grant execute on function listenql.cut(), public.cut() to ${watched.server.name}`)
    try {
      const all = await Promise.all([read(), read({ limit: 1 }), read({ of: large })])
      expect(all.map(ids)).toEqual([[1, 2], [1], []])
    } finally {
      await watched.log.database.query(
        `drop function listenql.cut(); alter function public.cut() set schema listenql`,
      )
    }
  })

  it('have as much time as they are expected to take, however many share the message', async () => {
    await watched.log.database.query(`create policy p on large using (pg_sleep(0.03) is not null);
      alter table large enable row level security; insert into large values (1, 1)`)
    const shapes = Array.from({ length: 20 }, (_, i) => i + 1)
    try {
      const all = () =>
        Promise.all([read({ of: large, expected: 30 }), ...shapes.map(limit => read({ limit }))])
      await all()
      // On a busy machine a round may take longer than even that; without the allowance, every round does.
      const isQuick = async () => {
        const query = vi.spyOn(pg.Client.prototype, 'query')
        const [slow, ...others] = await all()
        expect(slow.rows).toHaveLength(1)
        expect(slow.duration).toBeGreaterThan(Math.max(...others.map(({ duration }) => duration)))
        const asked = query.mock.calls.map(([first]) => String(first))
        query.mockRestore()
        return !asked.some(text => text.includes('set transaction snapshot'))
      }
      await expect.poll(isQuick, { timeout: 20_000 }).toBe(true)
    } finally {
      await watched.log.database.query('drop policy p on large; alter table large disable row level security')
    }
  })

  it('drop statements for others when the session holds too many', async () => {
    const [id] = people.columns as [TableColumn]
    const readShape = (size: number) => {
      const filters = Array.from(
        { length: size },
        () => ({ kind: 'isNull', column: id, isNull: false }) as const,
      )
      const plan = planOf(people, { filter: { kind: 'and', filters }, orderBy: [], limit: 10, offset: 0 })
      return snapshots.read(plan, {}, undefined, 1)
    }
    const shapes = Array.from({ length: 300 }, (_, i) => i + 1)
    expect((await Promise.all(shapes.map(readShape))).map(ids)).toEqual(shapes.map(() => [1, 2]))
    const query = vi.spyOn(pg.Client.prototype, 'query')
    expect(ids(await readShape(400))).toEqual([1, 2])
    expect(query.mock.calls).not.toContainEqual([expect.stringContaining('set transaction snapshot')])
    query.mockRestore()
  })

  it('that cannot be prepared do not prevent others', async () => {
    const rare = await watched.table('id int primary key', 'rare')
    await read({ of: rare, isQuick: false })
    await watched.log.query('alter table rare rename to other')
    const query = vi.spyOn(pg.Client.prototype, 'query')
    try {
      for (let i = 0; i < 2; i++) {
        query.mockClear()
        const [bad, good] = await Promise.allSettled([read({ of: rare }), read()])
        expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'SCHEMA_CHANGED' } })
        expect(good.status === 'fulfilled' && ids(good.value)).toEqual([1, 2])
      }
      const messages = query.mock.calls.map(([given]) => (given as { text?: string }).text ?? '')
      expect(messages.filter(isQuickMessage)).toHaveLength(1)
    } finally {
      query.mockRestore()
      await watched.log.query('drop table other')
    }
  })

  it('replace a connection that was lost', async () => {
    await read()
    await watched.log.database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listenql snapshot'`,
    )
    expect(ids(await read())).toEqual([1, 2])
  })
})

describe('quick reads of viewers', () => {
  it('have the rights of the role', async () => {
    const role = await roles.add('plain')
    await watched.log.database.query(`grant select on people to ${role}`)
    const as = { viewer: viewerOf(role, {}), isSecured: false }
    const all = await Promise.all([read({ as }), read(), read({ of: large })])
    expect(all.map(ids)).toEqual([[1, 2], [1, 2], []])
    expect((await lastMessages()).some(isQuickMessage)).toBe(true)
    await watched.log.database.query(`revoke select on people from ${role}`)
    const [refused, other] = await Promise.allSettled([read({ as }), read()])
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'FORBIDDEN' } })
    expect(other.status).toBe('fulfilled')
  })

  it('are refused once policies apply', async () => {
    const role = await roles.add('secured')
    await watched.log.database.query(`grant select on people to ${role}`)
    const as = { viewer: viewerOf(role, {}), isSecured: false }
    expect(ids(await read({ as }))).toEqual([1, 2])
    await watched.log.database.query('alter table people enable row level security')
    try {
      await expect(read({ as })).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' })
      await watched.log.database.query(`create table seen (id int); create function see(id int) returns boolean language plpgsql
        security definer as $$ begin insert into public.seen values (id); return true; exception when others then return false; end $$;
        create policy p on people using (see(id))`)
      await expect(read({ as })).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' })
      expect(await watched.log.database.query('select * from seen')).toEqual([])
      await watched.log.database.query('drop policy p on people')
      // Under row-level security another session reads, because functions of policies are code of others.
      expect(ids(await read({ as: { viewer: viewerOf(role, {}), isSecured: true } }))).toEqual([])
    } finally {
      await watched.log.database.query('alter table people disable row level security')
    }
  })
})
