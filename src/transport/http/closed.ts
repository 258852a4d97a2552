import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Calls `then` once when the exchange is over. A response that is queued after another one on its connection (pipelining) gets no
 * event when the connection closes, so the socket is watched, too.
 */
export function onceClosed(request: IncomingMessage, response: ServerResponse, then: () => void): void {
  const close = () => {
    response.off('close', close)
    request.socket.off('close', close)
    then()
  }
  // Closed already, while the caller awaited something: there is no event any more.
  if (response.destroyed || request.socket.destroyed) return then()
  response.on('close', close)
  request.socket.on('close', close)
}
