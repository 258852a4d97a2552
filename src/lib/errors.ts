import type { ErrorCode } from './error-codes.js'

export type { ErrorCode } from './error-codes.js'

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

/** The reason for the log, where an error has one that clients do not get. */
export function logReason({ cause, message }: ListenqlError): string {
  return typeof cause === 'string' ? cause : message
}

/** The text of any thrown value; never empty (Node's AggregateError, as for a refused connection, has no message). */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  if (error instanceof Error) return error.message || error.name
  return String(error)
}

/** The codes with which a client is refused what it asked for: rights, limits, documents that are not trusted. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'CHANNEL_NOT_ALLOWED',
  'DOCUMENT_NOT_TRUSTED',
  'FORBIDDEN',
  'LIMIT_EXCEEDED',
  'POLICY_NOT_WATCHED',
  'RESULT_TOO_LARGE',
  'TABLE_NOT_READABLE',
])

/** Whether an error with this code refuses something, in contrast to a mistake in the request or a fault. */
export function isRefusal(code: unknown): code is string {
  return REFUSALS.has(code)
}
