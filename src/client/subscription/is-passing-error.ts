import type { SubscriptionError } from './subscription-error.js'

/**
 * A new subscription begins with the present state, so it helps where the position, one event or a passing fault was the problem. After
 * SCHEMA_CHANGED it ends with GRAPHQL_VALIDATION_FAILED if the operation no longer fits.
 */
const PASSING =
  /^(AUTHENTICATION_UNAVAILABLE|CURSOR_(EXPIRED|INVALID)|DATABASE_FAILED|INTERNAL_SERVER_ERROR|QUERY_TIMEOUT|SCHEMA_CHANGED|SERVER_STOPPING)$/

/** Limits on what is open at the same time; the others concern the operation itself. */
const PASSING_LIMIT = /Rate|^max(Connections|Subscriptions|ClientMemory)/

/** Whether subscribing again may help; if not, the same error would come again. */
export function isPassingError({ code, errors }: SubscriptionError): boolean {
  if (code === 'LIMIT_EXCEEDED') return PASSING_LIMIT.test(String(errors[0]?.extensions?.limit))
  return errors.length > 0 && PASSING.test(`${code}`)
}
