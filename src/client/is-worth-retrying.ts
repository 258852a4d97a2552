/** graphql-ws leaves this one to us; it would be the same again, as are the codes that it holds for fatal. */
const FORBIDDEN_CODE = 4403
/** Unless the token was good until then: `connectionParams` is asked for another one. Should that be refused, it is with 4401. */
const OVER: ReadonlySet<unknown> = new Set(['Token expired', 'Session ended'])

/**
 * Whether to connect again. A browser tells of a refused connection with an Event that says nothing more, before the close;
 * an Error comes from what the application gave (`connectionParams`, a sink) or from a server that does not speak the protocol.
 */
export function isWorthRetrying(reason: unknown): boolean {
  if (isCloseEvent(reason)) return reason.code !== FORBIDDEN_CODE || OVER.has(reason.reason)
  return !(reason instanceof Error)
}

function isCloseEvent(reason: unknown): reason is { readonly code: unknown; readonly reason: unknown } {
  return typeof reason === 'object' && reason !== null && 'code' in reason && 'reason' in reason
}
