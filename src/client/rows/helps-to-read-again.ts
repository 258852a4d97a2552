import type { SubscriptionError } from '../subscription-error.js'

/** A new subscription begins with all rows, so it helps wherever the position or a single event was the problem, or a passing fault. */
const PASSING: ReadonlySet<unknown> = new Set([
  'AUTHENTICATION_UNAVAILABLE',
  'CURSOR_EXPIRED',
  'CURSOR_INVALID',
  'DATABASE_FAILED',
  'EVENT_TOO_LARGE',
  'INTERNAL_SERVER_ERROR',
  'QUERY_TIMEOUT',
  // If the operation no longer fits, the new subscription ends with GRAPHQL_VALIDATION_FAILED.
  'SCHEMA_CHANGED',
  'SERVER_STOPPING',
  'VALUE_NOT_SHOWN',
])

/** Limits on what is open at the same time; the others concern the operation itself. */
const PASSING_LIMIT = /^(maxConnections|maxSubscriptions|maxClientMemory|subscribeRate|filterRate)/

/** In the answer to a read, these come from a row of the table or from the table's size, and would come again. */
const LASTING_IN_READ: ReadonlySet<unknown> = new Set(['EVENT_TOO_LARGE', 'VALUE_NOT_SHOWN'])

/** @param isReading whether the subscription had not yet delivered all of its rows */
export function helpsToReadAgain({ code, errors }: SubscriptionError, isReading: boolean): boolean {
  if (isReading && LASTING_IN_READ.has(code)) return false
  if (code === 'LIMIT_EXCEEDED') return PASSING_LIMIT.test(String(errors[0]?.extensions?.limit))
  return errors.length > 0 && PASSING.has(code)
}
