import type { Viewer } from '../../auth/viewer.js'
import type { Filter } from '../../filters/index.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { RowOperation } from './row-change.js'
import type { InitialRowsOptions } from './start/initial-rows.js'

/** Which changes of a table a subscription selects. */
export interface ChangeSelection {
  /** Selects a change if the new or the old row matches. TRUNCATE matches every filter. */
  readonly filter: Filter
  /** The operations to deliver, as the client sees them. Undefined: all. */
  readonly operations: readonly RowOperation[] | undefined
}

/** A client's request for the changes of one table, as the schema passes it on. */
export interface ChangesRequest extends ChangeSelection {
  /** The cursor to resume after, as the client sent it. Undefined: start with the next change. */
  readonly after: string | undefined
  /** Begins with the rows that match, and begins again where changes are missing. Undefined: only changes. */
  readonly initial?: { readonly maxRows: number } | undefined
  /** Length of the windows in which the changes of a row are folded into one, in ms. Undefined: every change by itself. */
  readonly every?: number | undefined
  /** See EventSource. Undefined: the same under every schema. */
  readonly meaning?: string | undefined
  /** The columns that the client selects or filters by, by their names in the table. */
  readonly used: readonly string[]
  /** Whether the client selects the key. */
  readonly usesKey: boolean
}

/** A request with the checks of the viewer's right to it. */
export interface AuthorisedChangesRequest extends ChangesRequest {
  /** The viewer whose row-level security decides which rows are visible. Default: no row-level security applies. */
  readonly viewer?: Viewer | undefined
  /** Reads the rows that `initial` begins with. Must be set if that is. */
  readonly readInitial?: InitialRowsOptions['read'] | undefined
  /**
   * Called when the source is opened. It calls `lost` once the viewer has lost the right to what is requested; the source then
   * ends with that error. Default: the right cannot be lost.
   */
  readonly guard?: ((lost: (error: ListenqlError) => void) => Guarded) | undefined
  /**
   * Checks the right again, for pages of the log that are replayed. Resolves if it exists by rules that were in force at `since`
   * (in ms, of `performance.now()`) or later. Rejects with the error that `guard` passes to `lost`. Default: no check.
   */
  readonly recheck?: ((since: number, signal?: AbortSignal) => Promise<void>) | undefined
}

/** A right that is being watched. */
export interface Guarded {
  /** Nothing is delivered before this resolves; if it rejects, the source does not open. Undefined: deliver at once. */
  readonly ready?: Promise<void>
  /** Stops watching. */
  stop(): void
}
