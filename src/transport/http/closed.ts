import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Calls `then` once when the exchange is over: a response behind another one on the same connection (pipelining) never hears that
 * the connection is gone.
 */
export function onceClosed(request: IncomingMessage, response: ServerResponse, then: () => void): void {
  const close = () => {
    response.off('close', close)
    request.socket.off('close', close)
    then()
  }
  // What was closed while something else was waited for says so no more.
  if (response.destroyed || request.socket.destroyed) return then()
  response.on('close', close)
  request.socket.on('close', close)
}
