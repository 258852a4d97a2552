import type { Viewer } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import { ListenqlError } from '../lib/errors.js'
import type { TableRights } from '../rls/privileges.js'
import type { RowAccess } from '../rls/row-access.js'
import type { TableAccess } from '../rls/table-access.js'
import type { Snapshot, SnapshotRequest } from '../snapshots/snapshot-request.js'
import type { Snapshots } from '../snapshots/snapshots.js'
import type { EventSource } from '../sources/source.js'
import type { ChangesRequest } from '../sources/tables/changes-request.js'
import type { RowChange } from '../sources/tables/row-change.js'
import type { Tables } from '../sources/tables/tables.js'

export interface AuthorisedTablesOptions {
  readonly tables: Tables
  readonly snapshots: Snapshots
  /** Both undefined where authorisation is not configured. */
  readonly tableAccess: TableAccess | undefined
  readonly rowAccess: RowAccess | undefined
}

/** The columns that a snapshot selects, filters or sorts by, by their names in the table. */
interface Used {
  readonly used: readonly string[]
}

/** Tables with the rights of viewers; a viewer without a role reads everything, under the server's login. */
export interface AuthorisedTables {
  /** @throws ListenqlError FORBIDDEN, SCHEMA_CHANGED, QUERY_TIMEOUT, DATABASE_FAILED */
  changes(viewer: Viewer, table: WatchedTable, request: ChangesRequest): Promise<EventSource<RowChange>>
  /** @param request with the selected columns */
  snapshot(viewer: Viewer, table: WatchedTable, request: SnapshotRequest & Used): Promise<Snapshot>
  /** The names of the columns that the viewer may read; undefined: all; empty: none. */
  readable(viewer: Viewer, table: WatchedTable): Promise<readonly string[] | undefined>
}

/** Most pairs of table and role that are remembered because their policies work, and for how long, in ms. */
const MAX_PROBED = 1000
const PROBE_AGE_MS = 1000

export function createAuthorisedTables({
  tables,
  snapshots,
  tableAccess,
  rowAccess,
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

  return {
    async changes(viewer, table, request) {
      const { used } = request
      const rights = await tableAccess?.assert({ viewer, table, columns: used })
      if (!rights || !tableAccess) return tables.changes(table, request)
      const requirement = { viewer, table, columns: used, seesAll: !rights.hasRowSecurity }
      return tables.changes(table, {
        ...request,
        viewer: rights.hasRowSecurity ? await probe(viewer, table) : undefined,
        guard: lost => tableAccess.hold(requirement, lost),
        recheck: (since, signal) => tableAccess.recheck(requirement, since, signal),
      })
    },
    async snapshot(viewer, table, { used, columns = [], ...request }) {
      const requirement = { viewer, table, columns: used }
      for (let attempt = 1; ; attempt++) {
        const rights = await tableAccess?.assert(requirement)
        if (!rights || !tableAccess) return snapshots.snapshot(table, request)
        const isSecured = rights.hasRowSecurity
        try {
          return await snapshots.snapshot(table, {
            ...request,
            viewer,
            isSecured,
            columns: [...columns, ...table.key.filter(name => readableOf(table, rights).includes(name))],
          })
        } catch (error) {
          if (
            isSecured ||
            attempt > 1 ||
            !(error instanceof ListenqlError) ||
            error.code !== 'SCHEMA_CHANGED'
          )
            throw error
          await tableAccess.recheck({ ...requirement, seesAll: false }, performance.now()) // policies may apply by now
        }
      }
    },
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

/** The names of the columns that the viewer may read, by the known table. */
function readableOf({ columns }: WatchedTable, { numbers }: TableRights): string[] {
  return columns.filter(({ number }) => numbers.includes(number)).map(({ name }) => name)
}
