/** One error of a GraphQL result. */
export interface ResultError {
  /** For developers; it may change. */
  readonly message: string
  /** The field that could not be delivered. */
  readonly path?: readonly (string | number)[] | undefined
  /** `code` and, depending on the code, further fields: see docs/graphql.md, Errors. */
  readonly extensions?: { readonly [name: string]: unknown } | undefined
}

/** Why a subscription ended, in one form for GraphQL errors, close codes of the WebSocket and errors of the application. */
export class SubscriptionError extends Error {
  override readonly name = 'SubscriptionError'
  /** The code of the first GraphQL error, such as `FORBIDDEN`, or the close code of the WebSocket, such as `4403`. */
  readonly code: string | undefined
  /** The GraphQL errors; empty if the connection failed. */
  readonly errors: readonly ResultError[]

  /** @param reason the errors of a result, or what a sink of graphql-ws gets: these, a CloseEvent, or an Error */
  constructor(reason: unknown) {
    const errors: readonly ResultError[] = Array.isArray(reason) ? reason : []
    super(errors[0]?.message ?? messageOf(reason), { cause: reason })
    this.errors = errors
    this.code = codeOf(errors[0], reason)
  }
}

function codeOf(error: ResultError | undefined, reason: unknown): string | undefined {
  const code = error
    ? error.extensions?.code
    : (reason as { readonly code?: unknown } | null | undefined)?.code
  return code === undefined ? undefined : String(code)
}

function messageOf(reason: unknown): string {
  if (reason instanceof Error) return reason.message
  if (typeof reason !== 'object' || reason === null || !('code' in reason)) return 'the connection failed'
  return `the server closed the connection: ${[reason.code, 'reason' in reason && reason.reason].filter(Boolean).join(' ')}`
}
