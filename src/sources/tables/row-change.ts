import type { RowImage } from '../../filters/index.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { Position } from '../../log/position.js'

export const ROW_OPERATIONS = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const
export type RowOperation = (typeof ROW_OPERATIONS)[number]

/** A change of one row of a watched table (or TRUNCATE, of all of them), as one filter sees it. */
export interface RowChange {
  /** What happened in the database, whatever the filter. */
  readonly operation: RowOperation
  readonly position: Position
  /** `position` as clients get it. */
  readonly cursor: string
  /** The image that holds the key: the new row, or the old one if there is none; null on TRUNCATE. */
  readonly key: RowImage | null
  /** The row now; null if it was deleted, or left the filter. */
  readonly row: RowImage | null
  /** The row before: UPDATE and DELETE. */
  readonly old: RowImage | null
  /** When the statement ran, by the database's clock. */
  readonly at: Date
  /** Top-level transaction id (xid8) as text: changes of one transaction share it. */
  readonly transaction: string
  /** Why the change cannot be shown: the filter depends on a value that could not be read. Its rows must not be shown then. */
  readonly fault?: ListenqlError
}
