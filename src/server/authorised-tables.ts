import { claimsOf, type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import { ListenqlError } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { LiveQueries } from '../live/live-contract.js'
import { liveSource } from '../live/live-source.js'
import type { Plan } from '../plan/plan.js'
import { usedColumns } from '../plan/used-columns.js'
import type { TableRights } from '../rls/privileges.js'
import type { ReadRequirement } from '../rls/read-requirement.js'
import type { RowAccess } from '../rls/row-access.js'
import type { TableAccess } from '../rls/table-access.js'
import { planOf, type ReadAs, type Snapshot } from '../snapshots/snapshot-request.js'
import type { Snapshots } from '../snapshots/snapshots.js'
import type { EventSource } from '../sources/source.js'
import type { AuthorisedChangesRequest, ChangesRequest } from '../sources/tables/changes-request.js'
import type { RowChange } from '../sources/tables/row-change.js'
import type { Tables } from '../sources/tables/tables.js'
import type { ViewerPolicies } from './viewer-policies.js'

export interface AuthorisedTablesOptions {
  readonly tables: Tables
  readonly snapshots: Snapshots
  readonly liveQueries: LiveQueries
  /** All undefined where authorisation is not configured. */
  readonly tableAccess: TableAccess | undefined
  readonly rowAccess: RowAccess | undefined
  readonly policies: ViewerPolicies | undefined
}

/** Tables with the rights of viewers; a viewer without a role reads everything, under the server's login. */
export interface AuthorisedTables {
  /** @throws ListenqlError FORBIDDEN, SCHEMA_CHANGED, QUERY_TIMEOUT, DATABASE_FAILED */
  changes(viewer: Viewer, table: WatchedTable, request: ChangesRequest): Promise<EventSource<RowChange>>
  /** The viewer needs the right to read all columns that the plan uses. @throws the same, and those of `Snapshots.read` */
  read(viewer: Viewer, plan: Plan): Promise<Snapshot>
  /** The result of the plan, and each later one that differs. @throws as `read` */
  live(viewer: Viewer, plan: Plan, every: number): Promise<EventSource<Snapshot>>
  /** The names of the columns that the viewer may read; undefined: all; empty: none. */
  readable(viewer: Viewer, table: WatchedTable): Promise<readonly string[] | undefined>
}

/** Most pairs of table and role that are remembered because their policies work, and for how long, in ms. */
const MAX_PROBED = 1000
const PROBE_AGE_MS = 1000

export function createAuthorisedTables({
  tables,
  snapshots,
  liveQueries,
  tableAccess,
  rowAccess,
  policies,
}: AuthorisedTablesOptions): AuthorisedTables {
  const probed = new Map<string, { readonly seesToken: boolean; readonly until: number }>()

  /**
   * Checks that the policies work on images.
   * @returns the viewer without claims that they do not read, so that groups are shared more
   */
  async function probe(viewer: Viewer, table: WatchedTable): Promise<Viewer> {
    const key = `${table.relid} ${table.generation} ${viewer.role}`
    let known = probed.get(key)
    if (!known || known.until < performance.now()) {
      const seesToken = (await rowAccess?.probe(table, viewer)) ?? true
      known = { seesToken, until: performance.now() + PROBE_AGE_MS }
      if (probed.size >= MAX_PROBED) probed.clear()
      probed.set(key, known)
    }
    return { ...viewer, seesToken: known.seesToken }
  }

  /** The rights under which tables are read that the viewer may read. */
  async function rightsTo(requirements: readonly ReadRequirement[]): Promise<ReadAs> {
    const keys = new Map<string, readonly string[]>()
    let isSecured = false
    for (const requirement of requirements) {
      const { table } = requirement
      const rights = await tableAccess?.assert(requirement)
      if (!rights) return {}
      if (rights.hasRowSecurity) isSecured = true
      const readable = readableOf(table, rights)
      keys.set(
        table.relid,
        table.key.filter(name => readable.includes(name)),
      )
    }
    return { viewer: requirements[0]?.viewer, isSecured, keys }
  }

  /** Holds the rights to all that a query reads. */
  function holdAll(
    requirements: readonly ReadRequirement[],
    seesAll: boolean,
    lost: (error: ListenqlError) => void,
  ) {
    const held = requirements.map(one => tableAccess?.hold({ ...one, seesAll }, lost))
    return {
      ready: Promise.all(held.map(one => one?.ready)).then(() => undefined),
      stop() {
        for (const one of held) one?.stop()
      },
    }
  }

  async function read(viewer: Viewer, plan: Plan, signal?: AbortSignal): Promise<Snapshot> {
    const requirements = requirementsOf(viewer, plan)
    for (let attempt = 1; ; attempt++) {
      const as = await rightsTo(requirements)
      try {
        return await snapshots.read(plan, as, signal)
      } catch (error) {
        const isPlain = as.viewer && !as.isSecured
        if (!isPlain || attempt > 1 || !(error instanceof ListenqlError) || error.code !== 'SCHEMA_CHANGED')
          throw error
        // Policies may apply by now.
        const since = performance.now()
        for (const one of requirements) await tableAccess?.recheck({ ...one, seesAll: false }, since)
      }
    }
  }

  /** Reads the rows that a subscription begins with. */
  function initialRowsOf(
    viewer: Viewer,
    table: WatchedTable,
    { initial, filter, used }: ChangesRequest,
  ): AuthorisedChangesRequest['readInitial'] {
    if (!initial) return undefined
    const { maxRows } = initial
    const plan = planOf(table, { filter, orderBy: [], limit: maxRows + 1, offset: 0, columns: used })
    return async signal => {
      const snapshot = await read(viewer, plan, signal)
      if (snapshot.rows.length > maxRows) throw tooManyRows(table, maxRows)
      return snapshot
    }
  }

  return {
    async changes(viewer, table, given) {
      const { used } = given
      const rights = await tableAccess?.assert({ viewer, table, columns: used })
      const request = { ...given, readInitial: initialRowsOf(viewer, table, given) }
      if (!rights || !tableAccess) return tables.changes(table, request)
      const requirement = { viewer, table, columns: used, seesAll: !rights.hasRowSecurity }
      return tables.changes(table, {
        ...request,
        viewer: rights.hasRowSecurity ? await probe(viewer, table) : undefined,
        guard: lost => tableAccess.hold(requirement, lost),
        recheck: (since, signal) => tableAccess.recheck(requirement, since, signal),
      })
    },
    async live(viewer, asked, every) {
      const requirements = requirementsOf(viewer, asked)
      const as = await rightsTo(requirements)
      const live = liveQueries.prepare(asked, as)
      const { plan } = live
      const shared = { queries: liveQueries, live, as, every }
      if (!as.viewer) return liveSource(shared)
      if (!as.isSecured || !policies)
        return liveSource({
          ...shared,
          audience: viewerKey(viewer, false),
          hold: lost => holdAll(requirements, true, lost),
        })
      const known = await policies.assert(viewer, plan)
      return liveSource({
        ...shared,
        as: { ...as, viewer: { ...known, claims: claimsOf(known) } },
        audience: viewerKey(known, true),
        hold(lost) {
          const rights = holdAll(requirements, false, lost)
          const held = policies.hold(known, plan, lost)
          return {
            ready: Promise.all([rights.ready, held.ready]).then(() => undefined),
            policies: held.policies,
            stop() {
              rights.stop()
              held.stop()
            },
          }
        },
      })
    },
    read: (viewer, plan) => read(viewer, plan),
    async readable(viewer, table) {
      const { role } = viewer
      if (role === undefined || !tableAccess) return undefined
      try {
        return readableOf(table, await tableAccess.rightsOf(role, table))
      } catch (error) {
        if (error instanceof ListenqlError && error.code !== 'DATABASE_FAILED') return []
        throw error
      }
    },
  }
}

function tooManyRows({ name }: WatchedTable, max: number): LimitExceeded {
  return new LimitExceeded(
    'maxRows',
    max,
    `initial: more than ${max} rows of table ${name} match`,
    'select fewer rows with `where`, or query page by page and subscribe after the cursor of the first page; --max-rows sets the limit',
  )
}

function requirementsOf(viewer: Viewer, plan: Plan): ReadRequirement[] {
  return [...usedColumns(plan)].map(([relid, columns]) => ({
    viewer,
    table: plan.tables.get(relid) as WatchedTable,
    columns,
  }))
}

/** The names of the columns that the viewer may read, by the known table. */
function readableOf({ columns }: WatchedTable, { numbers }: TableRights): string[] {
  return columns.filter(({ number }) => numbers.includes(number)).map(({ name }) => name)
}
