import type { Viewer } from '../auth/viewer.js'
import type { Filter, RowImage } from '../filters/index.js'
import type { Position } from '../log/position.js'

export type SortDirection =
  | 'ASC'
  | 'DESC'
  | 'ASC_NULLS_FIRST'
  | 'ASC_NULLS_LAST'
  | 'DESC_NULLS_FIRST'
  | 'DESC_NULLS_LAST'

/** Which rows of a table to read. */
export interface SnapshotRequest {
  readonly filter: Filter
  /** By these columns (names in the table), then by the primary key, so that pages are stable. */
  readonly orderBy: readonly { readonly column: string; readonly direction: SortDirection }[]
  readonly limit: number
  readonly offset: number
  /** The viewer whose role and claims the rows are read under. Undefined: the server's login. */
  readonly viewer?: Viewer | undefined
  /** Whether policies decide which rows the viewer sees; if not, the claims do not matter. Default: true. */
  readonly isSecured?: boolean
  /** Only these columns (names in the table) and those that the request uses are read; the others are null. Undefined: all. */
  readonly columns?: readonly string[] | undefined
}

/** Rows as they were at one position of the event log: changes after `cursor` are exactly those that the rows do not show. */
export interface Snapshot {
  readonly cursor: string
  readonly position: Position
  readonly rows: readonly RowImage[]
}
