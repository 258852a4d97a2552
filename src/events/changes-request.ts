import type { Filter } from '../filters/index.js'
import type { RowOperation } from './row-change.js'

/** Which changes of a table are asked for. */
export interface ChangesRequest {
  readonly filter: Filter
  /** Undefined: all. */
  readonly operations: readonly RowOperation[] | undefined
  /** A cursor as the client wrote it. */
  readonly after: string | undefined
}
