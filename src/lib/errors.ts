/**
 * Every code that users and clients of listenql can get. Stable: clients may branch on them.
 */
export type ErrorCode =
  | 'ARGUMENT_INVALID'
  | 'AUTHENTICATION_UNAVAILABLE'
  | 'BAD_CONFIGURATION'
  | 'CHANNEL_NAME_INVALID'
  | 'CHANNEL_NOT_ALLOWED'
  | 'CURSOR_EXPIRED'
  | 'CURSOR_INVALID'
  | 'DATABASE_FAILED'
  | 'EMBEDDED_POSTGRES_FAILED'
  | 'EVENT_TARGET_CLOSED'
  | 'EVENT_TOO_LARGE'
  | 'FILTER_INVALID'
  | 'FORBIDDEN'
  | 'LIMIT_EXCEEDED'
  | 'PAYLOAD_INVALID'
  | 'PAYLOAD_TOO_LARGE'
  | 'PORT_IN_USE'
  | 'QUERY_TIMEOUT'
  | 'RESULT_TOO_LARGE'
  | 'SCHEMA_CHANGED'
  | 'SERVER_STOPPING'
  | 'SUBSCRIBER_TOO_SLOW'
  | 'TABLE_NOT_READABLE'
  | 'UNAUTHENTICATED'
  | 'VALUE_NOT_SHOWN'

/**
 * An error for users: `message` is one line with the problem and its place, `hint` the remedy.
 */
export class ListenqlError extends Error {
  override readonly name = 'ListenqlError'
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
  }
}

/** The text of any thrown value; never empty (Node's AggregateError, as for a refused connection, has no message). */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  if (error instanceof Error) return error.message || error.name
  return String(error)
}
