import type { WebSocket } from 'ws'

/**
 * Pings a WebSocket (https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2) every `interval` ms, which keeps proxies from
 * closing it, and drops it when no pong has come by the next ping. Anything else that the peer sent counts as a pong: one
 * that is busy reading a burst is not dead.
 */
export function keepWebSocketAlive(webSocket: WebSocket, interval: number): void {
  let heard = true
  const onHeard = () => {
    heard = true
  }
  webSocket.on('pong', onHeard).on('ping', onHeard).on('message', onHeard)
  const timer = setInterval(() => {
    if (!heard && webSocket.bufferedAmount === 0) return webSocket.terminate()
    heard = false
    webSocket.ping()
  }, interval)
  webSocket.once('close', () => clearInterval(timer))
}
