import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Stop } from '../../lib/stop.js'

/**
 * Calls `then` once when the exchange is over. A response that is queued after another one on its connection (pipelining) gets no
 * event when the connection closes, so the socket is watched, too.
 * @returns stops watching: `then` and what it refers to would stay in memory as long as the response
 */
export function onceClosed(request: IncomingMessage, response: ServerResponse, then: () => void): Stop {
  const stop = () => {
    response.off('close', close)
    request.socket.off('close', close)
  }
  const close = () => {
    stop()
    then()
  }
  // Closed already, while the caller awaited something: there is no event any more.
  if (response.destroyed || request.socket.destroyed) then()
  else {
    response.on('close', close)
    request.socket.on('close', close)
  }
  return stop
}
