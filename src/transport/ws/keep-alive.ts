import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Outbound } from '../../delivery/outbound.js'
import { type IntervalQueue, Recurring } from '../../lib/collections/interval-queue.js'

/** The client of a WebSocket that is pinged. */
export interface PingedClient {
  readonly webSocket: WebSocket
  readonly socket: Socket
  readonly connection: { readonly outbound: Outbound }
  /** Sends the protocol's own ping message, in addition to the ping frame. */
  ping(): void
}

/**
 * Pings a WebSocket (https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2) at each interval, so that proxies do not close it, and cuts
 * it off if the peer has sent no bytes by the next ping. Any bytes count: some peers answer ping frames but not the pings of a
 * protocol, some the other way round, and a large message may take long to arrive. It also answers the peer's pings, so `autoPong`
 * must be off.
 */
export class PingedSocket extends Recurring {
  readonly #client: PingedClient
  readonly #queue: IntervalQueue
  /** How many bytes the peer had sent at the last ping. */
  #heard = -1
  /** The peer's ping that has not been answered. */
  #owed: Buffer | undefined

  constructor(client: PingedClient, queue: IntervalQueue) {
    super()
    this.#client = client
    this.#queue = queue
    queue.add(this)
  }

  recur(): void {
    if (!this.#isSilent) return this.#ask()
    // If this process was held up, it has not read yet what the peer has sent in time. A peer in the same process was held up, too:
    // it answers in the first turn, and is read in the second.
    setImmediate(() => setImmediate(() => this.#judge()))
  }

  /** Only the last ping needs a pong (section 5.5.3): pongs must not pile up for a peer that pings and never reads. */
  answer(ping: Buffer): void {
    const { socket, webSocket, connection } = this.#client
    if (!socket.writableNeedDrain) return webSocket.pong(ping)
    this.#owed = ping
    connection.outbound.flush() // checks how long there was no progress
  }

  /** The socket takes more. */
  drained(): void {
    if (this.#owed) this.#client.webSocket.pong(this.#owed)
    this.#owed = undefined
  }

  stop(): void {
    this.#queue.remove(this)
  }

  /** A peer that still has data to read is not checked here: --stall-timeout covers it. */
  get #isSilent(): boolean {
    const { socket, webSocket } = this.#client
    return socket.bytesRead === this.#heard && webSocket.bufferedAmount === 0
  }

  #ask(): void {
    const { socket, webSocket, connection } = this.#client
    this.#heard = socket.bytesRead
    socket.cork() // both pings in one packet
    this.#client.ping()
    if (!socket.writableNeedDrain) webSocket.ping()
    connection.outbound.flush()
    socket.uncork()
  }

  #judge(): void {
    const { webSocket, connection } = this.#client
    if (webSocket.readyState !== webSocket.OPEN) return
    if (this.#isSilent) return connection.outbound.cut('silent')
    this.#ask()
    this.#queue.add(this) // the peer has a whole interval to answer
  }
}
