import { isObject } from '../is-object.js'

/** graphql-ws does not treat this code as fatal, but the same error would occur again. */
const FORBIDDEN_CODE = 4403
/** Except if the token was valid until then: `connectionParams` is called for another one. If that is refused, the code is 4401. */
const OVER: ReadonlySet<unknown> = new Set(['Token expired', 'Session ended'])

/**
 * Whether to reconnect. A browser reports a refused connection with an Event without details, before the close; an Error comes
 * from the application's own code (`connectionParams`, a sink) or from a server that does not speak the protocol.
 */
export function isWorthRetrying(reason: unknown): boolean {
  if (isCloseEvent(reason)) return reason.code !== FORBIDDEN_CODE || OVER.has(reason.reason)
  return !(reason instanceof Error)
}

function isCloseEvent(reason: unknown): reason is { readonly code: unknown; readonly reason: unknown } {
  return isObject(reason) && 'code' in reason && 'reason' in reason
}
