import { readPlanRows, TooManyRows } from '../plan/plan-result.js'
import type { ReadLimits } from './read-limits.js'
import { schemaChanged, tooLarge, tooManyRows } from './snapshot-errors.js'
import type { Outcome } from './snapshot-jobs.js'
import type { SnapshotQuery } from './snapshot-query.js'
import type { TablesNow } from './table-now.js'

/**
 * The outcome of a read that Postgres has not refused.
 * @param images undefined: they have more bytes than the limits allow
 * @param now what has become of the query's tables
 */
export function outcomeOf(
  { plan, table }: SnapshotQuery,
  images: readonly string[] | undefined,
  { altered, rewritten, undecided }: TablesNow,
  limits: ReadLimits,
): Outcome {
  if (altered) return { kind: 'failed', error: schemaChanged(altered) }
  if (rewritten) return { kind: 'again', reason: `table ${rewritten.name} was rewritten meanwhile` }
  if (undecided)
    return {
      kind: 'again',
      reason: `a table that policies of ${undecided.name} read was rewritten meanwhile`,
    }
  if (images === undefined) return { kind: 'failed', error: tooLarge(table, limits) }
  try {
    return { kind: 'rows', rows: readPlanRows(plan, images) }
  } catch (error) {
    if (error instanceof TooManyRows) return { kind: 'failed', error: tooManyRows(table, error.max) }
    throw error
  }
}
