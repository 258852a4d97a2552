import type { SubscriptionError } from './subscription-error.js'

/** A new subscription begins with the present state, so it helps where the position, one event or a passing fault was the problem. */
const PASSING: ReadonlySet<unknown> = new Set([
  'AUTHENTICATION_UNAVAILABLE',
  'CURSOR_EXPIRED',
  'CURSOR_INVALID',
  'DATABASE_FAILED',
  'INTERNAL_SERVER_ERROR',
  'QUERY_TIMEOUT',
  // If the operation no longer fits, the new subscription ends with GRAPHQL_VALIDATION_FAILED.
  'SCHEMA_CHANGED',
  'SERVER_STOPPING',
])

/** Limits on what is open at the same time; the others concern the operation itself. */
const PASSING_LIMIT = /Rate|^max(Connections|Subscriptions|ClientMemory)/

/** Whether subscribing again may help; if not, the same error would come again. */
export function isPassingError({ code, errors }: SubscriptionError): boolean {
  if (code === 'LIMIT_EXCEEDED') return PASSING_LIMIT.test(String(errors[0]?.extensions?.limit))
  return errors.length > 0 && PASSING.has(code)
}
