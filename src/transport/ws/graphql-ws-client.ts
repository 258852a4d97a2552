import type { IncomingMessage } from 'node:http'
import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import { CloseCode, MessageType, type WebSocket as ProtocolSocket, type Server } from 'graphql-ws'
import type { RawData } from 'ws'
import type { Viewer } from '../../auth/viewer.js'
import type { Frame } from '../../delivery/stream.js'
import type { Subscriber } from '../../delivery/subscriber.js'
import { type ClientErrors, isTooDeep, TOO_DEEP } from '../../graphql/errors.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Observe } from '../../lib/observation.js'
import type { TraceCarrier } from '../../lib/telemetry/tracing.js'
import type { Cursors } from '../../log/cursors.js'
import { closeOf } from '../ends.js'
import { completeMessage, errorMessage, readMessage } from './graphql-ws-messages.js'
import type { OperationClient } from './graphql-ws-operation.js'
import type { ServerWebSocket } from './server-web-socket.js'
import { closeWebSocket } from './sink.js'
import { SocketClient, type SocketShared } from './socket-client.js'
import { SocketSubscriptions, type SubscriptionLimits } from './socket-subscriptions.js'

/** Read when a WebSocket opens and at each operation, since a reload may change them. */
export interface GraphqlWsLimits extends SubscriptionLimits {
  /** Longest time from the opening of a WebSocket to its `connection_init`, in ms. */
  readonly connectionInitTimeout: number
}

/** What all clients of the protocol share. */
export interface GraphqlWsShared extends SocketShared {
  readonly protocol: Server<GraphqlWsClient>
  readonly limits: GraphqlWsLimits
  readonly cursors: Pick<Cursors, 'encode'>
  readonly toClientError: ClientErrors
  /** Observes that a limit is exceeded. */
  readonly refused: (remote: string, excess: LimitExceeded) => void
  readonly observe: Observe
}

/**
 * One client of graphql-transport-ws. It is the socket of graphql-ws, which handles the messages, and keeps the accepted
 * subscriptions, which graphql-ws has forgotten. So it says itself that the id of one is in use, and ends one with an error.
 */
export class GraphqlWsClient extends SocketClient implements ProtocolSocket, OperationClient {
  readonly subscriptions: SocketSubscriptions
  viewer?: Viewer
  trace?: TraceCarrier | undefined
  readonly #shared: GraphqlWsShared
  /** The request for the upgrade, until `connection_init` arrives. */
  #request: IncomingMessage | undefined
  /** Closes the socket if no `connection_init` arrives. graphql-ws would keep its timer as long as the socket is open. */
  #initTimer: NodeJS.Timeout | undefined
  #handle: (message: string) => Promise<void> = async () => undefined
  readonly #closed: (code: number, reason: string) => Promise<void>

  constructor(shared: GraphqlWsShared, webSocket: ServerWebSocket, request: IncomingMessage) {
    super(shared, webSocket, request)
    const { protocol, limits } = shared
    this.#shared = shared
    this.#request = request
    this.subscriptions = new SocketSubscriptions(limits)
    const wait = limits.connectionInitTimeout
    if (wait > 0 && Number.isFinite(wait)) this.#initTimer = setTimeout(() => this.#endInit(), wait)
    this.#closed = protocol.opened(this, this)
  }

  get protocol(): string {
    return this.webSocket.protocol
  }

  /** Called by graphql-ws. */
  send(text: string): void {
    this.connection.outbound.control(text)
  }

  /** Called by graphql-ws. */
  onMessage(handle: (message: string) => Promise<void>): void {
    this.#handle = handle
  }

  close(code: number, reason: string): void {
    this.connection.outbound.flush() // the last message explains the close
    closeWebSocket(this.webSocket, code, reason)
  }

  /** `connection_init` has arrived. @returns the request for the upgrade */
  begin(): IncomingMessage {
    const request = this.#request as IncomingMessage
    this.#request = undefined
    this.#stopInitTimer()
    return request
  }

  refused(excess: LimitExceeded): void {
    this.#shared.refused(this.connection.remote, excess)
  }

  forget(id: string): void {
    this.#handle(completeMessage(id)).catch(error => this.#fail(error))
  }

  override ping(): void {
    const { subscriptions, connection } = this
    if (subscriptions.size > 0) connection.outbound.control(subscriptions.positions(this.#shared.cursors))
  }

  override other({ id }: Subscriber, { text }: Frame): void {
    const error = errorOf(text)
    if (this.subscriptions.fail(id, error)) this.send(errorMessage(id, error))
  }

  override onExcess(excess: LimitExceeded): void {
    this.refused(excess)
    this.close(1013, excess.line)
  }

  override endViewer(error: ListenqlError): void {
    // graphql-ws's client reconnects after 4403, whatever the reason, but not for a subscription that has ended with an error.
    if (error.code === 'FORBIDDEN') {
      const ended = this.#shared.toClientError(error)
      this.sink.sendLast(this.subscriptions.ids().map(id => errorMessage(id, ended)))
    }
    const { code, reason } = closeOf(error)
    closeWebSocket(this.webSocket, code, reason)
  }

  protected override receive(data: RawData): void {
    if (this.webSocket.readyState !== this.webSocket.OPEN) return // it came after the fault that closes the socket
    try {
      const message = readMessage(String(data))
      if (!message) return this.close(CloseCode.BadRequest, 'Invalid message received')
      const { type, id = '', text } = message
      if (type === MessageType.Subscribe && this.subscriptions.isAccepted(id))
        return this.close(CloseCode.SubscriberAlreadyExists, `Subscriber for ${id} already exists`)
      // Not awaited: the promise lasts as long as the operation, and would hold the message.
      this.#handle(text).catch(error => this.#fail(error))
      if (type === MessageType.Complete) this.subscriptions.complete(id)
    } catch (error) {
      this.#fail(error)
    }
  }

  protected override left(code: number, reason: string): void {
    this.#stopInitTimer()
    this.subscriptions.completeAll()
    super.left(code, reason)
    void this.#closed(code, reason)
  }

  #endInit(): void {
    this.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout')
  }

  #stopInitTimer(): void {
    clearTimeout(this.#initTimer)
    this.#initTimer = undefined
  }

  #fail(error: unknown): void {
    if (isTooDeep(error)) return this.close(CloseCode.BadRequest, TOO_DEEP)
    this.#shared.observe({
      type: 'fault',
      id: 'graphql-ws',
      message: 'a message could not be handled',
      error,
    })
    this.close(CloseCode.InternalServerError, 'Internal server error')
  }
}

/** The error of a frame that ends a subscription. */
function errorOf(text: string): GraphQLError {
  const { errors } = JSON.parse(text) as { errors: [GraphQLFormattedError] }
  const { message, extensions } = errors[0]
  return new GraphQLError(message, extensions ? { extensions } : {})
}
