import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { RowImage } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import type { Position } from '../../log/position.js'
import type { PresentRows } from './delivered-rows.js'

/** Reads the present rows of a table whose policies read the table itself, as `select` shows them to a viewer. */
export interface Present {
  /** Whether a policy is known to read the table itself for this viewer. The answer may become true later. */
  isNeeded(table: WatchedTable, viewer: Viewer): boolean
  /** The names of the columns that the viewer may read. */
  readable(table: WatchedTable, viewer: Viewer): Promise<readonly string[]>
  /**
   * The keys (`keyText`) of all rows that the viewer sees, and the position in the log of the snapshot they were read in.
   * @throws ListenqlError LIMIT_EXCEEDED if there are more than MAX_DELIVERED_ROWS rows; and the errors of snapshots
   */
  keys(
    table: WatchedTable,
    viewer: Viewer,
    signal?: AbortSignal,
  ): Promise<{ readonly keys: readonly string[]; readonly position: Position }>
  /**
   * The visible rows among those with the keys of these images, in a snapshot that is taken after the call.
   * @throws ListenqlError the errors of snapshots
   */
  rows(
    table: WatchedTable,
    viewer: Viewer,
    images: readonly RowImage[],
    signal?: AbortSignal,
  ): Promise<PresentRows>
}

/** SCHEMA_CHANGED: a policy has read the table itself, but none was known to do so when the subscription began. */
export function readsItselfMeanwhile(): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', 'the policies of this table read the table itself', {
    hint: 'subscribe again: new subscriptions take that into account',
  })
}
