import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Outbound } from '../delivery/outbound.js'

export interface KeepAliveOptions {
  readonly webSocket: WebSocket
  /** The socket under it. */
  readonly socket: Socket
  readonly outbound: Outbound
  /** Between two pings, in ms. */
  readonly interval: number
  /** Sends the protocol's own ping message, in addition to the ping frame. Default: none. */
  readonly ping?: () => void
}

/**
 * Pings a WebSocket (https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2) every `interval` ms, so that proxies do not close it,
 * and cuts it off if the peer has sent no bytes by the next ping. Any bytes count: some peers answer ping frames but not the pings
 * of a protocol, some the other way round, and a large message may take long to arrive. It also answers the peer's pings, so
 * `autoPong` must be off.
 */
export function keepWebSocketAlive(options: KeepAliveOptions): void {
  const { webSocket, socket, outbound, interval, ping = () => undefined } = options
  let heard = -1
  let asked = 0
  const timer = setInterval(() => {
    const { bytesRead, writableNeedDrain } = socket
    const now = performance.now()
    // If this server was held up, it has not read yet what the peer may have sent in time.
    const isLate = now - asked > 1.5 * interval
    // A peer that still has data to read is not checked here: --stall-timeout covers it.
    if (bytesRead === heard && !isLate && webSocket.bufferedAmount === 0) return outbound.cut('silent')
    heard = bytesRead
    asked = now
    socket.cork() // both pings in one packet
    ping()
    if (!writableNeedDrain) webSocket.ping()
    outbound.flush()
    socket.uncork()
  }, interval)
  webSocket.once('close', () => clearInterval(timer))
  answerPings(webSocket, socket, outbound)
}

/** Only the last ping needs a pong (section 5.5.3): pongs must not pile up for a peer that pings and never reads. */
function answerPings(webSocket: WebSocket, socket: Socket, outbound: Outbound): void {
  let owed: Buffer | undefined
  webSocket.on('ping', data => {
    if (!socket.writableNeedDrain) return webSocket.pong(data)
    owed = data
    outbound.flush() // checks how long there was no progress
  })
  socket.on('drain', () => {
    if (owed) webSocket.pong(owed)
    owed = undefined
  })
}
