/**
 * After how long an EventSource reconnects, in ms. It does so for ever, after an end with a result as after a lost connection
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#reestablish-the-connection).
 */
export const SOON_MS = 1000
/** The problem may pass by itself. */
const LATER_MS = 10_000
/** The same request would get the same result, until the server or the database is changed. */
const RARELY_MS = 300_000

/** Errors that last until the request, the server or the database is changed. */
const LASTING: ReadonlySet<unknown> = new Set([
  'ARGUMENT_INVALID',
  'BAD_REQUEST',
  'BAD_USER_INPUT',
  'CHANNEL_NAME_INVALID',
  'CHANNEL_NOT_ALLOWED',
  'DOCUMENT_NOT_TRUSTED',
  'FILTER_INVALID',
  'FORBIDDEN',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PAYLOAD_INVALID',
  'PAYLOAD_TOO_LARGE',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'POLICY_NOT_WATCHED',
  'RESULT_TOO_LARGE',
  'TABLE_NOT_READABLE',
])

/** Limits on what is open at the same time; the others concern the request itself. */
const PASSING_LIMIT = /^(maxConnections|maxSubscriptions|maxClientMemory|subscribeRate|filterRate)/

interface FormattedError {
  readonly extensions?: Readonly<Record<string, unknown>>
}

/**
 * @param json the last result of a stream
 * @param isRemembered whether a rejected position is one that the client remembers by itself, so that the server tells it to forget
 * it; a position in the request itself would be rejected again
 * @returns ms
 */
export function retryTime(json: string, isRemembered: boolean): number {
  const error = firstError(json)
  if (!error) return RARELY_MS // the result of a query or mutation, which is complete
  const { code, limit } = error.extensions ?? {}
  if (String(code).startsWith('CURSOR_')) return isRemembered ? SOON_MS : RARELY_MS
  if (code === 'LIMIT_EXCEEDED') return PASSING_LIMIT.test(String(limit)) ? LATER_MS : RARELY_MS
  return LASTING.has(code) ? RARELY_MS : LATER_MS
}

/** Errors come first in a result, so a large one without errors is not parsed. */
function firstError(json: string): FormattedError | undefined {
  if (!json.startsWith('{"errors":')) return undefined
  return (JSON.parse(json) as { errors: readonly FormattedError[] }).errors[0]
}
