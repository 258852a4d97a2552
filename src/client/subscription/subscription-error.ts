/** One error of a GraphQL result. */
export interface ResultError {
  /** For developers; it may change. */
  readonly message: string
  /** The field that could not be delivered. */
  readonly path?: readonly (string | number)[]
  /** `code` and, depending on the code, further fields: see docs/graphql.md, Errors. */
  readonly extensions?: { readonly [name: string]: unknown }
}

/** Why a subscription ended, in one form for GraphQL errors, close codes of the WebSocket and errors of the application. */
export class SubscriptionError extends Error {
  override readonly name = 'SubscriptionError'
  /** The code of the first GraphQL error, such as `FORBIDDEN`, or the close code of the WebSocket, such as `4403`. */
  readonly code: string | undefined
  /** What to do, for developers, where the first GraphQL error says it. */
  readonly hint: string | undefined
  /** The GraphQL errors; empty if the connection failed. */
  readonly errors: readonly ResultError[]

  /** @param reason the errors of a result, or what a sink of graphql-ws gets: these, a CloseEvent, or an Error */
  constructor(reason: unknown) {
    const errors: readonly ResultError[] = Array.isArray(reason) ? reason : []
    const { message, code, reason: why = '' } = (reason ?? {}) as Partial<Error & CloseReason>
    super(errors[0]?.message ?? message ?? closeMessage(code, why), { cause: reason })
    const extensions = errors[0]?.extensions
    this.errors = errors
    this.hint = extensions?.hint as string | undefined
    this.code = (extensions?.code ?? code)?.toString()
  }
}

/** The parts of a CloseEvent that are used here. */
interface CloseReason {
  readonly code: number
  readonly reason: string
}

/** The close codes after which the client gives up although the application is right: docs/security.md, What is checked. */
function closeMessage(code: number | undefined, reason: string): string {
  const closed = `connection closed: ${code ?? 'unknown reason'} ${reason}`.trim()
  if (code === 4401) return `${closed}: sign in again`
  return reason === 'Forbidden' ? `${closed}: see the log of the server` : closed
}
