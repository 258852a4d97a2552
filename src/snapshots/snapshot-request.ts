import type { Viewer } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { Filter } from '../filters/index.js'
import type { Position } from '../log/position.js'
import type { Plan, Sort } from '../plan/plan.js'
import type { PlanRow } from '../plan/plan-result.js'

/** The rights under which a snapshot is read. */
export interface ReadAs {
  /** The viewer whose role and claims the rows are read under. Undefined: the server's login. */
  readonly viewer?: Viewer | undefined
  /** Whether policies decide which rows the viewer sees; if not, the claims do not matter. Default: true. */
  readonly isSecured?: boolean
  /** The columns of primary keys that the viewer may read, by the oids of their tables. Default: all. */
  readonly keys?: ReadonlyMap<string, readonly string[]>
}

/** Which rows of one table to read. */
export interface SnapshotRequest extends Omit<ReadAs, 'keys'> {
  readonly filter: Filter
  /** By these columns, then by the primary key, so that pages are stable. */
  readonly orderBy: readonly Sort[]
  readonly limit: number
  readonly offset: number
  /** Only these columns (names in the table) are read; the others are null. Undefined: all. */
  readonly columns?: readonly string[] | undefined
}

/** Rows as they were at one position of the event log: changes after `cursor` are exactly those that the rows do not show. */
export interface Snapshot {
  readonly cursor: string
  readonly position: Position
  readonly rows: readonly PlanRow[]
  /** How long the database has read, in ms, without the wait before. */
  readonly duration: number
}

/** A request for the rows of one table as a plan. */
export function planOf(
  table: WatchedTable,
  { filter, orderBy, limit, offset, columns = table.columns.map(({ name }) => name) }: SnapshotRequest,
): Plan {
  const root = { kind: 'rows', table, filter, columns, orderBy, limit, offset, children: new Map() } as const
  return { root, tables: new Map([[table.relid, table]]) }
}

/** A viewer that reads some columns may not be able to sort by others. */
export function asOf({ relid, key }: WatchedTable, { viewer, isSecured, columns }: SnapshotRequest): ReadAs {
  return {
    viewer,
    ...(isSecured !== undefined && { isSecured }),
    ...(columns && { keys: new Map([[relid, key.filter(name => columns.includes(name))]]) }),
  }
}
