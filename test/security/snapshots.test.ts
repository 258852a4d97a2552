import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../src/filters/index.js'
import type { SnapshotRequest } from '../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../src/snapshots/snapshots.js'
import { PLAIN } from '../support/cursors.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let snapshots: Snapshots
let table: WatchedTable

const admin = (sql: string) => watched.log.database.query(sql)

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('reader')
  table = await watched.table('id int primary key, owner text not null, secret text', 'notes')
  await admin(`insert into notes values (1, 'a', 'x'), (2, 'b', 'y'), (3, 'a', 'z'); grant select (id, owner) on notes to ${role};
    alter table notes enable row level security;
    create policy mine on notes using (owner = current_setting('request.jwt.claims')::json ->> 'sub'
      and (current_setting('request.jwt.claims')::json ->> 'n')::int is not distinct from null)`)
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 2000,
    cursors: PLAIN,
  })
})
afterAll(async () => {
  await snapshots.close()
  await roles.close()
  await watched.close()
})

const request = (viewer: Viewer | undefined, more: Partial<SnapshotRequest> = {}): SnapshotRequest => ({
  filter: EVERYTHING,
  orderBy: [],
  limit: 100,
  offset: 0,
  viewer,
  columns: ['id', 'owner'],
  ...more,
})

async function shown(viewer: Viewer, more: Partial<SnapshotRequest> = {}): Promise<unknown> {
  return snapshots.snapshot(table, request(viewer, more)).then(
    ({ rows }) => rows.map(row => row.get('id')),
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  )
}

const me = (claims: Viewer['claims']) => viewerOf(role, claims)

describe('a snapshot under a viewer', () => {
  it('shows each viewer what Postgres shows to that role with these claims', async () => {
    const all = await Promise.all(
      [me({ sub: 'a' }), me({ sub: 'b' }), me({ sub: 'a', exp: 1 }), me({})].map(viewer => shown(viewer)),
    )
    expect(all).toEqual([[1, 3], [2], [1, 3], []])
    // The login keeps its own privileges, and a read without a viewer still runs as the login, which owns nothing.
    await admin(`alter table notes disable row level security`)
    expect(
      (await snapshots.snapshot(table, { ...request(undefined), columns: undefined })).rows.map(row =>
        row.get('secret'),
      ),
    ).toEqual(['x', 'y', 'z'])
    expect(await shown(me({ sub: 'c' }))).toEqual([1, 2, 3])
    await admin(`alter table notes enable row level security`)
  })

  it('leaves out columns that are not selected, and refuses those that may not be read', async () => {
    const { rows } = await snapshots.snapshot(
      table,
      request(me({ sub: 'a' }), { columns: ['owner'], orderBy: [{ column: 'id', direction: 'DESC' }] }),
    )
    expect(rows.map(row => [row.get('id'), row.get('owner'), row.get('secret')])).toEqual([
      [null, 'a', null],
      [null, 'a', null],
    ])
    const refusal = `FORBIDDEN: role ${role} may not read table notes`
    expect(await shown(me({ sub: 'a' }), { columns: ['id', 'secret'] })).toBe(refusal)
    expect(await shown(me({ sub: 'a' }), { orderBy: [{ column: 'secret', direction: 'ASC' }] })).toBe(refusal)
  })

  it('that fails for one viewer does not affect others', async () => {
    const all = await Promise.all(
      [me({ sub: 'a' }), me({ sub: 'a', n: 'x' }), me({ sub: 'b' })].map(viewer => shown(viewer)),
    )
    expect(all).toEqual([
      [1, 3],
      'FORBIDDEN: the row-level security of table notes failed for this viewer',
      [2],
    ])
    expect(await shown(viewerOf('nobody of that name', { sub: 'a' }))).toMatch(/^FORBIDDEN: /)
  })
})
