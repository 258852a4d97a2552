import type { RowImage } from '../../filters/index.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { Position } from '../../log/position.js'

export const ROW_OPERATIONS = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const
export type RowOperation = (typeof ROW_OPERATIONS)[number]

/**
 * What a stream that begins with the present rows has, too: a row that was there, the end of these rows, and that everything before it
 * no longer counts.
 */
export const STREAM_OPERATIONS = ['READ', 'READY', 'RESET'] as const
export type StreamOperation = (typeof STREAM_OPERATIONS)[number]

/** A change of one row of a watched table, or TRUNCATE of all its rows, as one filter sees it. */
export interface RowChange {
  /** The operation in the database, independent of the filter; or one of the stream. */
  readonly operation: RowOperation | StreamOperation
  readonly position: Position
  /** `position` encoded for clients. */
  readonly cursor: string
  /** The image that holds the key: the new row, or the old one if there is none; null on TRUNCATE, READY and RESET. */
  readonly key: RowImage | null
  /** The new row; null if the row was deleted or no longer matches the filter. */
  readonly row: RowImage | null
  /** The old row, for UPDATE and DELETE; null otherwise. */
  readonly old: RowImage | null
  /** When the statement ran, by the database's clock. For operations of the stream: when it was made, by the server's clock. */
  readonly at: Date
  /** Top-level transaction id (xid8) as text: changes of one transaction share it. Empty for operations of the stream. */
  readonly transaction: string
  /** Set if the filter depends on a value that cannot be read. Only this error may be shown then, not the rows. */
  readonly fault?: ListenqlError
}
