/** Stands for a WebSocket where there is none, so that a module which creates a client can also be imported on a server. */
export const MISSING_WEB_SOCKET: unknown = Object.assign(() => undefined, {
  CONNECTING: 0,
  OPEN: 1,
  CLOSING: 2,
  CLOSED: 3,
})

/** @param given the application's own. Default: that of the platform; without one, `MISSING_WEB_SOCKET` */
export function webSocketOf(given: unknown): unknown {
  return given ?? (globalThis as { readonly WebSocket?: unknown }).WebSocket ?? MISSING_WEB_SOCKET
}
