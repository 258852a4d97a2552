import type { WatchedTable } from '../catalog/watched-table.js'
import type { ListenqlError } from '../lib/errors.js'
import type { Position } from '../log/position.js'
import type { Plan } from '../plan/plan.js'
import type { ReadAs, Snapshot } from '../snapshots/snapshot-request.js'
import type { LivePlan } from './live-plan.js'
import type { PolicySource } from './live-policies.js'

export interface LiveRequest {
  /** As `prepare` returns it. */
  readonly live: LivePlan
  readonly as: ReadAs
  /** The shortest time from one read to the next, in ms. */
  readonly every: number
  /** The policies that decide which rows the query shows. Undefined: it shows all. */
  readonly policies?: PolicySource | undefined
}

export interface LiveResult extends Snapshot {
  /** The time that passes at least until the query is read again, in ms. */
  readonly interval: number
  /** Equal for results that look the same. */
  readonly digest: string
}

/** Gets the results of a query. */
export interface ResultListener {
  /** The first result, and later each that differs from the one before. */
  result(result: LiveResult): void
  /** The query has ended; no call follows. */
  end(error: ListenqlError): void
}

/** What one live query has cost since it was opened. */
export interface LiveCost {
  /** The table of its root. */
  readonly table: Pick<WatchedTable, 'schema' | 'name'>
  readonly reads: number
  /** The time of all reads together, and of the last one, in ms. */
  readonly ms: number
  readonly lastMs: number
  /** Rows of the last result, without linked rows. */
  readonly rows: number
  /** The shortest time from one read to the next that its client asked for, in ms. */
  readonly every: number
}

export interface OpenQuery {
  /** The last position at which the newest result is known to hold. Undefined: a change may have altered it. */
  readonly holdsAt: Position | undefined
  /** Idempotent. */
  close(): void
}

/**
 * Keeps the results of queries up to date. A query is read again when a change of the log may show in it, and its listener gets the new
 * result if it differs. Each result is exact at its position, a batch boundary; states in between may be skipped.
 */
export interface LiveQueries {
  /** A plan in the form that is kept, which shares what it can with other plans. Do not keep the given one. */
  prepare(plan: Plan, as: ReadAs): LivePlan
  /** @throws ListenqlError LIMIT_EXCEEDED */
  open(request: LiveRequest, listener: ResultListener): OpenQuery
  /** How many queries are open. */
  readonly size: number
  /** The open queries that have taken the database the longest, the first one the most. @param most how many at most */
  costliest(most: number): readonly LiveCost[]
  /** Whether every result holds, as far as the log has been dispatched. */
  isSettled(): boolean
  /** Idempotent. */
  close(): void
}
