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
  /** Sends what the protocol has for a ping, beside the ping frame. Default: nothing. */
  readonly ping?: () => void
}

/**
 * Pings a WebSocket (https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2) every `interval` ms, which keeps proxies from
 * closing it, and cuts it off when the peer has sent nothing by the next ping. Bytes count, whatever they are: some peers
 * answer ping frames and not the messages of a protocol, some the other way round, and a large message may take longer to
 * arrive. Answers the peer's pings, too; the WebSocket may not do so by itself (`autoPong`).
 */
export function keepWebSocketAlive(options: KeepAliveOptions): void {
  const { webSocket, socket, outbound, interval, ping = () => undefined } = options
  let heard = -1
  let asked = 0
  const timer = setInterval(() => {
    const { bytesRead, writableNeedDrain } = socket
    const now = performance.now()
    // A server that was held up itself has not read what the peer may have answered in time.
    const isLate = now - asked > 1.5 * interval
    // One that still has to take something is not asked whether it is there: --stall-timeout is for that.
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

/** Only the last ping needs an answer (section 5.5.3): pongs may not pile up for a peer that pings and never reads. */
function answerPings(webSocket: WebSocket, socket: Socket, outbound: Outbound): void {
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
