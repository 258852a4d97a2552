import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SubscriptionHandle } from '../../delivery/subscription-handle.js'
import type { ClientErrors } from '../../graphql/errors.js'
import { stringifyResult } from '../../graphql/result.js'
import { type IntervalQueue, Recurring } from '../../lib/collections/interval-queue.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { Cursors } from '../../log/cursors.js'
import type { Connection, Peer } from '../connection.js'
import type { Connections } from '../connections.js'
import { endCodeOf, SERVER_STOPPING } from '../ends.js'
import { onceClosed } from './closed.js'
import { replyErrors } from './reply.js'
import { cutResponse, HttpSink, type SinkOwner, type StreamFormat } from './response-sink.js'

/** What all streams over HTTP share. */
export interface StreamShared {
  readonly connections: Connections
  readonly cursors: Pick<Cursors, 'encode'>
  readonly toClientError: ClientErrors
  /** Its interval is that of keep-alives. */
  readonly keepAlives: IntervalQueue
}

export const CLOSE = { connection: 'close' }

/** The client of one stream over HTTP, as a connection. A class, since each idle stream has one. */
export class StreamClient extends Recurring implements Peer, SinkOwner {
  readonly sink: HttpSink
  readonly connection: Connection
  readonly #shared: StreamShared
  readonly #response: ServerResponse
  readonly #format: StreamFormat
  /** Aborts when the client leaves before it is accepted. Undefined: it has been accepted. */
  #left: AbortController | undefined
  #handle: SubscriptionHandle | undefined
  #isOver = false

  constructor(
    shared: StreamShared,
    request: IncomingMessage,
    response: ServerResponse,
    format: StreamFormat,
    left: AbortController,
  ) {
    super()
    this.#shared = shared
    this.#response = response
    this.#format = format
    this.#left = left
    this.sink = new HttpSink(response, format, shared.cursors, this)
    this.connection = shared.connections.open({ transport: format.name, request, peer: this })
    this.sink.outbound = this.connection.outbound
    onceClosed(request, response, () => this.leave())
  }

  /** Begins the stream, which contains the position from which on it has all events. */
  accept(handle: SubscriptionHandle): void {
    this.#handle = handle
    this.#left = undefined
    this.begin()
    const opening = this.#format.opening
    this.#response.write(this.#position === undefined ? opening : opening + this.#keepAlive)
    this.#shared.keepAlives.add(this)
  }

  /** Sends the headers. */
  begin(): void {
    this.#response.req.socket.setNoDelay(true)
    this.#response.writeHead(200, this.#format.headers)
  }

  /** The client has left, or does not get the stream. Idempotent. */
  leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.connection.close()
    this.#shared.keepAlives.remove(this)
    this.#left?.abort()
  }

  recur(): void {
    this.connection.outbound.control(this.#keepAlive)
  }

  end(): void {
    this.leave()
    if (!this.#response.headersSent) {
      // An EventSource that gets a status other than 200 does not reconnect.
      if (!this.#format.isCutOff) {
        const headers = { ...CLOSE, 'retry-after': '1' }
        return replyErrors(this.#response, 503, [this.#shared.toClientError(SERVER_STOPPING)], headers)
      }
      this.begin()
      this.#response.write(this.#format.opening)
    }
    this.sink.endForReconnect(SERVER_STOPPING) // waiting events are not sent first, as the client resumes
  }

  destroy(): void {
    this.#response.destroy()
  }

  endViewer(reason: ListenqlError): void {
    const errors = [this.#shared.toClientError(reason)]
    if (this.#response.headersSent)
      return this.sink.finish(this.#format.last(stringifyResult({ data: null, errors }), true))
    this.leave()
    replyErrors(this.#response, reason.code === 'UNAUTHENTICATED' ? 401 : 403, errors, CLOSE)
  }

  cut(): void {
    cutResponse(this.#response)
  }

  final(text: string): void {
    this.connection.close(endCodeOf(text))
  }

  get #position(): string | undefined {
    const at = this.#handle?.position()
    return at && this.#shared.cursors.encode(at)
  }

  get #keepAlive(): string {
    return this.#format.keepAlive(this.#position)
  }
}
