import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { parseFilter } from '../../src/filters/index.js'
import { createTableAccess, type TableAccess } from '../../src/rls/table-access.js'
import { createPresentRows } from '../../src/snapshots/present-rows.js'
import { createSnapshots, type Snapshots } from '../../src/snapshots/snapshots.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'
import { createStaged, type Staged } from '../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let staged: Staged
let table: WatchedTable
let viewer: Viewer
let snapshots: Snapshots
let tableAccess: TableAccess

const admin = (sql: string) => watched.log.database.query(sql)

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  const role = await roles.add('one')
  viewer = viewerOf(role)
  table = await watched.table('a int, b text, body text, is_public boolean, primary key (a, b)', 'notes')
  await admin(`grant select on notes to ${role};
    create function sees_note(int, text) returns boolean language sql stable security definer as $$ select n.is_public from public.notes n where (n.a, n.b) = ($1, $2) $$;
    alter table notes enable row level security; create policy p on notes using (sees_note(a, b))`)
  const shared = { config: watched.server.config, connectTimeout: 5000, observe: () => undefined }
  tableAccess = createTableAccess({ ...shared, reconnectMax: 100, catalogInterval: 1000 })
  staged = await createStaged(watched, {
    present(rowAccess, cursors) {
      snapshots = createSnapshots({ ...shared, queryTimeout: 5000, cursors })
      return createPresentRows({ snapshots, tableAccess, rowAccess })
    },
  })
  staged.tables.switchTo([table], true)
  await staged.rowAccess.probe(table, viewer)
  expect(staged.rowAccess.readsItself(table, viewer)).toBe(true)
})
afterAll(async () => {
  await staged?.close()
  await snapshots?.close()
  await tableAccess?.close()
  await roles?.close()
  await watched?.close()
})

const a = fc.integer({ min: 1, max: 3 })
const b = fc.constantFrom(`'x'`, `'it''s'`)
const isPublic = fc.constantFrom(true, true, false)
/** The body of a version is its number, so that each body is unique. */
const insert = fc
  .tuple(a, b, isPublic)
  .map(
    ([i, t, p]) =>
      `insert into notes values (${i}, ${t}, 'BODY', ${p}) on conflict (a, b) do update set body = excluded.body, is_public = excluded.is_public`,
  )
const statement = fc.oneof(
  { weight: 4, arbitrary: insert },
  {
    weight: 2,
    arbitrary: fc
      .tuple(a, isPublic)
      .map(([i, p]) => `update notes set body = 'BODY', is_public = ${p} where a = ${i}`),
  },
  { weight: 2, arbitrary: a.map(i => `update notes set body = 'BODY' where a >= ${i}`) },
  { weight: 2, arbitrary: fc.tuple(a, b).map(([i, t]) => `delete from notes where (a, b) = (${i}, ${t})`) },
  { weight: 1, arbitrary: fc.constant('truncate notes') },
)
const scene = fc.record({
  first: fc.array(statement, { maxLength: 4 }),
  transactions: fc.array(
    fc.record({
      statements: fc.array(statement, { minLength: 1, maxLength: 3 }),
      waits: fc.constantFrom(true, true, false),
    }),
    { minLength: 5, maxLength: 12 },
  ),
  where: fc.constantFrom({}, {}, { a: { gt: 1 } }, { body: { like: '%1%' } }),
})

it('a subscriber sees nothing that select never showed, and its list stays equal to select', async () => {
  let bodies = 0
  let shown = 0
  let kept = 0
  const fresh = (sql: string) => sql.replaceAll('BODY', () => `body ${++bodies}.`)
  await fc.assert(
    fc.asyncProperty(scene, async ({ first, transactions, where }) => {
      const filter = parseFilter(new Map(table.columns.map(column => [column.name, column])), where)
      const like = 'body' in where ? `where body like '%1%'` : 'a' in where ? 'where a > 1' : ''
      const select = async (which: string) => {
        const rows = await roles.asViewer(
          viewer,
          `select a, b, body from public.notes ${which} order by a, b`,
        )
        return rows.map(row => `${row.a} ${row.b} ${row.body}`)
      }
      await admin('delete from notes')
      for (const sql of first) await admin(fresh(sql))
      const ever = new Set(await select(''))
      const list = new Map((await select(like)).map(row => [row.slice(0, row.indexOf(' body')), row]))
      const following = await staged.follow(table, viewer, { filter })
      const seen: string[] = []
      let taken = 0
      const text = ({ key, row }: RowChange) =>
        [
          `${key?.get('a')} ${key?.get('b')}`,
          row && `${row.get('a')} ${row.get('b')} ${row.get('body')}`,
        ] as const
      function take(): void {
        for (const change of following.changes.slice(taken)) {
          taken++
          for (const image of [change.row, change.old])
            if (image) seen.push(`${image.get('a')} ${image.get('b')} ${image.get('body')}`)
          const [key, row] = text(change)
          if (change.operation === 'TRUNCATE') list.clear()
          else if (row) list.set(key, row)
          else list.delete(key)
        }
      }
      for (const { statements, waits } of transactions) {
        await admin(`begin; ${statements.map(fresh).join('; ')}; commit`)
        for (const row of await select('')) ever.add(row)
        if (waits) await following.level()
      }
      await following.level()
      take()
      expect(following.ended).toBeUndefined()
      expect([...list.values()].sort()).toEqual((await select(like)).sort())
      expect(seen.filter(row => !ever.has(row))).toEqual([])
      shown += seen.length
      kept += list.size
      following.stop()
    }),
    { numRuns: 60, endOnFailure: true },
  )
  // The test would prove nothing if no row were shown.
  expect(shown).toBeGreaterThan(50)
  expect(kept).toBeGreaterThan(0)
}, 240_000)
