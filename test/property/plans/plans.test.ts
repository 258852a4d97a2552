import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { EVERYTHING, type RowImage } from '../../../src/filters/index.js'
import { nodesOf, type Plan } from '../../../src/plan/plan.js'
import type { Snapshot } from '../../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../../src/snapshots/snapshots.js'
import { PLAIN } from '../../support/cursors.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'
import { anyPlanOf, createPlanTables } from './arbitrary-plans.js'
import { expectedRows, shownRows, type Visible } from './model.js'

/*
 * Random plans, compared with a model that looks at every row. Under row-level security the model begins with the rows that a plain read
 * of each table shows to the viewer, which other tests compare with `select`.
 */

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let snapshots: Snapshots
let tables: Map<string, WatchedTable>

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('viewer')
  tables = await createPlanTables(watched)
  await watched.log.database.query(`alter role ${watched.server.name} bypassrls;
    grant select on people, teams, tasks, tags to ${role};
    alter table people enable row level security; alter table tasks enable row level security;
    create policy p on people using (coalesce(age, 0) >= (current_setting('request.jwt.claims')::json ->> 'age')::int);
    create policy p on tasks using (owner is null or owner in (select id from people where id % 2 = 1) or title = 't1')`)
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    keepsPrepared: true,
    cursors: PLAIN,
  })
})
afterAll(async () => {
  await snapshots?.close()
  await roles?.close()
  await watched?.close()
})

const ALL = { filter: EVERYTHING, orderBy: [], limit: 10_000, offset: 0 }

async function visibleTo(as: { viewer?: ReturnType<typeof viewerOf> }): Promise<Visible> {
  const all = new Map<string, readonly RowImage[]>()
  for (const table of tables.values())
    all.set(table.relid, (await snapshots.snapshot(table, { ...ALL, ...as })).rows)
  return all
}

it.each([
  ['the server', undefined],
  ['a viewer under row-level security', 3],
  ['another viewer', 6],
])('a random plan returns what a model computes from the rows that %s sees', async (_name, age) => {
  const as = age === undefined ? {} : { viewer: viewerOf(role, { age }) }
  const visible = await visibleTo(as)
  expect([...visible.values()].every(rows => rows.length > 0)).toBe(true)
  let rows = 0
  let nodes = 0
  await fc.assert(
    fc.asyncProperty(anyPlanOf(tables), anyPlanOf(tables), async (...plans) => {
      const expected = plans.map(plan => expectedRows(plan.root, visible))
      const shown = (all: readonly Snapshot[]) =>
        all.map((one, i) => shownRows((plans[i] as Plan).root, one.rows))
      const each = await Promise.all(plans.map(plan => snapshots.read(plan, as)))
      expect(shown(each)).toEqual(expected)
      // Both in one message.
      const together = await Promise.all(plans.map(plan => snapshots.read(plan, as, undefined, 1)))
      expect(shown(together)).toEqual(expected)
      for (const { rows: some } of each) rows += some.length
      for (const plan of plans) nodes += nodesOf(plan).length
    }),
    { numRuns: 60 },
  )
  expect(rows).toBeGreaterThan(120)
  expect(nodes).toBeGreaterThan(240)
})
