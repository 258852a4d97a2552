import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RawData } from 'ws'
import type { Frame } from '../../delivery/stream.js'
import type { Subscriber } from '../../delivery/subscriber.js'
import type { IntervalQueue } from '../../lib/collections/interval-queue.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'
import type { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { CutReason } from '../../lib/observation.js'
import type { Connection, Peer } from '../connection.js'
import type { Connections } from '../connections.js'
import { InboundBytes, type InboundOwner } from './inbound.js'
import { type PingedClient, PingedSocket } from './keep-alive.js'
import type { ServerWebSocket, SocketListener } from './server-web-socket.js'
import { type Envelope, endWebSocket, type SinkOwner, WebSocketSink } from './sink.js'

/** What all WebSockets of one protocol share. */
export interface SocketShared {
  readonly transport: string
  readonly envelope: Envelope
  readonly connections: Connections
  readonly memory: ClientMemory
  /** Its interval is that of pings. */
  readonly pings: IntervalQueue
}

/**
 * The client of one WebSocket that has completed its handshake. It makes the WebSocket a connection: frames are written to it, it is
 * pinged and cut off if it is silent, and if the server stops or the client does not keep up, it closes with a code after which the
 * client reconnects. Each protocol extends it.
 */
export abstract class SocketClient implements Peer, SinkOwner, SocketListener, PingedClient, InboundOwner {
  readonly webSocket: ServerWebSocket
  readonly socket: Socket
  readonly sink: WebSocketSink
  readonly connection: Connection
  readonly #pings: PingedSocket
  readonly #inbound: InboundBytes

  /** @param request the request for the upgrade; it is not kept */
  constructor(shared: SocketShared, webSocket: ServerWebSocket, request: IncomingMessage) {
    const { socket } = request
    this.webSocket = webSocket
    this.socket = socket
    this.sink = new WebSocketSink(webSocket, socket, shared.envelope, this)
    this.connection = shared.connections.open({ transport: shared.transport, request, peer: this })
    this.sink.outbound = this.connection.outbound
    this.#pings = new PingedSocket(this, shared.pings)
    this.#inbound = new InboundBytes(this, shared.memory)
    webSocket.listenBy(this)
    clients.set(socket, this)
    socket.on('drain', onDrain).on('data', onData)
  }

  /** A message has arrived. */
  protected abstract receive(data: RawData): void
  /** A frame that the envelope does not send. */
  abstract other(subscriber: Subscriber, frame: Frame): void
  /** There is no memory for more of a message that is arriving. Called once. */
  abstract onExcess(excess: LimitExceeded): void
  abstract endViewer(reason: ListenqlError): void
  /** Sends the protocol's own ping message, in addition to the ping frame. Default: there is none. */
  ping(): void {}
  /** The WebSocket is closed. */
  protected left(_code: number, _reason: string): void {
    this.connection.close()
  }

  cut(reason: CutReason): void {
    endWebSocket(this.webSocket, reason)
  }

  end(): void {
    endWebSocket(this.webSocket, 'stopping')
  }

  destroy(): void {
    this.webSocket.terminate()
  }

  messageArrived(data: RawData): void {
    this.receive(data)
    this.#inbound.messageEnded() // afterwards, so that a message counts as arriving until its operation counts
  }

  pingArrived(data: Buffer): void {
    this.#pings.answer(data)
    this.#inbound.control(data)
  }

  pongArrived(data: Buffer): void {
    this.#inbound.control(data)
  }

  bytesArrived(chunk: Buffer): void {
    this.#inbound.arrived(chunk)
  }

  /** The socket takes more. */
  drained(): void {
    this.sink.drained()
    this.#pings.drained()
  }

  closed(code: number, reason: string): void {
    this.#pings.stop()
    this.#inbound.close()
    this.left(code, reason)
  }

  /** Stops counting what arrives: the connection is being closed. */
  ignoreInbound(): void {
    this.socket.off('data', onData)
  }
}

/** For the functions that listen to sockets, which all sockets share. */
const clients = new WeakMap<Duplex, SocketClient>()

function onDrain(this: Duplex): void {
  clients.get(this)?.drained()
}
function onData(this: Duplex, chunk: Buffer): void {
  clients.get(this)?.bytesArrived(chunk)
}
