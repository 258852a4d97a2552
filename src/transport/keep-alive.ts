import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Outbound } from '../delivery/outbound.js'

export interface KeepAliveOptions {
  readonly webSocket: WebSocket
  readonly socket: Socket
  readonly outbound: Outbound
  /** Between two pings, in ms. */
  readonly interval: number
  /** Sends the protocol's own ping message, in addition to the ping frame. Default: none. */
  readonly ping?: ((outbound: Outbound) => void) | undefined
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
  // A peer that still has data to read is not checked here: --stall-timeout covers it.
  const isSilent = () => socket.bytesRead === heard && webSocket.bufferedAmount === 0
  const ask = () => {
    heard = socket.bytesRead
    socket.cork() // both pings in one packet
    ping(outbound)
    if (!socket.writableNeedDrain) webSocket.ping()
    outbound.flush()
    socket.uncork()
  }
  const timer = setInterval(() => {
    if (!isSilent()) return ask()
    // If this process was held up, it has not read yet what the peer has sent in time. A peer in the same process was held up, too:
    // it answers in the first turn, and is read in the second.
    setImmediate(() =>
      setImmediate(() => {
        if (webSocket.readyState !== webSocket.OPEN) return
        if (isSilent()) return outbound.cut('silent')
        ask()
        timer.refresh() // the peer has a whole interval to answer
      }),
    )
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
