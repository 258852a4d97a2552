import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Outbound } from '../delivery/outbound.js'

export interface KeepAliveOptions {
  readonly webSocket: WebSocket
  /** The socket under it. */
  readonly socket: Duplex
  readonly outbound: Outbound
  /** Between two pings, in ms. */
  readonly interval: number
  /** Sends something that the peer answers. Default: a ping frame. */
  readonly ping?: () => void
}

/**
 * Pings a WebSocket (https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2) every `interval` ms, which keeps proxies from
 * closing it, and drops it when no pong has come by the next ping. Anything else that the peer sent counts as a pong: one
 * that is busy reading a burst is not dead. Answers the peer's pings, too; the WebSocket may not do so by itself (`autoPong`).
 */
export function keepWebSocketAlive(options: KeepAliveOptions): void {
  const { webSocket, socket, outbound, interval, ping = () => webSocket.ping() } = options
  let heard = true
  const onHeard = () => {
    heard = true
  }
  webSocket.on('pong', onHeard).on('ping', onHeard).on('message', onHeard)
  const timer = setInterval(() => {
    if (!heard && webSocket.bufferedAmount === 0) return webSocket.terminate()
    heard = false
    ping()
  }, interval)
  webSocket.once('close', () => clearInterval(timer))
  answerPings(webSocket, socket, outbound)
}

/** Only the last ping needs an answer (section 5.5.3): pongs may not pile up for a peer that pings and never reads. */
function answerPings(webSocket: WebSocket, socket: Duplex, outbound: Outbound): void {
  let owed: Buffer | undefined
  webSocket.on('ping', data => {
    if (!socket.writableNeedDrain) return webSocket.pong(data)
    owed = data
    outbound.flush() // has it look at how long nothing has moved
  })
  socket.on('drain', () => {
    if (owed) webSocket.pong(owed)
    owed = undefined
  })
}
