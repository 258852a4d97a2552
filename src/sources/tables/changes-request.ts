import type { Viewer } from '../../auth/viewer.js'
import type { Filter } from '../../filters/index.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { RowOperation } from './row-change.js'

/** Which changes of a table are asked for. */
export interface ChangesRequest {
  readonly filter: Filter
  /** Undefined: all. */
  readonly operations: readonly RowOperation[] | undefined
  /** A cursor as the client wrote it. */
  readonly after: string | undefined
  /** The columns that it selects or filters by, by their names in the table. Default: all. */
  readonly used?: readonly string[] | undefined
  /** Whether it selects the key. Default: true. */
  readonly usesKey?: boolean | undefined
  /** Whose row-level security decides which rows are there. Undefined: all are. */
  readonly viewer?: Viewer | undefined
  /** Called when it is opened; calls back once the right to it is lost. */
  readonly guard?: ((lost: (error: ListenqlError) => void) => Guarded) | undefined
  /**
   * Resolves if the right to it is there still, by what is in force at this moment (`performance.now()`) at the earliest. Rejects
   * with what `guard` calls back with.
   */
  readonly recheck?: ((since: number, signal?: AbortSignal) => Promise<void>) | undefined
}

export interface Guarded {
  /** Nothing may be shown before it resolves; undefined: at once. */
  readonly ready?: Promise<void>
  stop(): void
}
