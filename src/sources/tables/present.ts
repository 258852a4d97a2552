import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { RowImage } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import type { Position } from '../../log/position.js'
import type { PresentRows } from './told-rows.js'

/** The rows of tables whose policies read the table itself, as `select` shows them to a viewer. */
export interface Present {
  /** Whether policies of the table read the table itself for this viewer, as far as that is known by now. */
  isNeeded(table: WatchedTable, viewer: Viewer): boolean
  /** The columns that the viewer may read. */
  readable(table: WatchedTable, viewer: Viewer): Promise<readonly string[]>
  /**
   * The keys of all that the viewer sees (`keyText`), and where in the log that is.
   * @throws ListenqlError LIMIT_EXCEEDED if there are more than MAX_TOLD_ROWS, and as snapshots do
   */
  keys(
    table: WatchedTable,
    viewer: Viewer,
    signal?: AbortSignal,
  ): Promise<{ readonly keys: readonly string[]; readonly position: Position }>
  /** The rows with the keys of these images, in a snapshot that is newer than the call. @throws ListenqlError as snapshots do */
  rows(
    table: WatchedTable,
    viewer: Viewer,
    images: readonly RowImage[],
    signal?: AbortSignal,
  ): Promise<PresentRows>
}

/** A policy has read the table itself, for a subscription that was begun in the belief that none does. */
export function readsItselfMeanwhile(): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', 'the policies of this table read the table itself', {
    hint: 'subscribe again: it is taken into account from now on',
  })
}
