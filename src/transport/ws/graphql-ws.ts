import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
  parse as parseDocument,
} from 'graphql'
import { CloseCode, MessageType, makeServer, type SubscribePayload } from 'graphql-ws'
import type { WebSocket } from 'ws'
import type { Viewer } from '../../auth/viewer.js'
import type { SubscriptionHandle } from '../../delivery/subscription.js'
import {
  type Engine,
  type Operation,
  type Params,
  type Prepared,
  stringifyResult,
} from '../../graphql/engine.js'
import { type ClientErrors, formatError, formatResult, isTooDeep, TOO_DEEP } from '../../graphql/errors.js'
import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { createTokenBucket, type TokenBucket } from '../../lib/limits/token-bucket.js'
import type { Observe } from '../../lib/observation.js'
import { sizeOf, textSize } from '../../lib/size-of.js'
import type { Cursors } from '../../log/cursors.js'
import { type Admit, isRefused } from '../admission.js'
import type { Connection, Connections } from '../connections.js'
import { keepWebSocketAlive } from '../keep-alive.js'
import { ExternalIterator } from './external-iterator.js'
import { readMessage } from './graphql-ws-message.js'
import { countInbound } from './inbound.js'
import { closeWebSocket, type Envelope, endWebSocket, overLimit, WebSocketSink } from './sink.js'

export interface GraphqlWsOptions {
  readonly admit: Admit
  readonly engine: Engine
  readonly connections: Connections
  readonly cursors: Pick<Cursors, 'encode'>
  readonly memory: ClientMemory
  readonly toClientError: ClientErrors
  /** Interval of pings in ms. */
  readonly keepAlive: number
  readonly limits: WebSocketLimits
  readonly observe: Observe
}

/** See the options of the same names; the timeout is in ms. */
export interface WebSocketLimits {
  readonly connectionInitTimeout: number
  readonly maxSubscriptionsPerConnection: number
  readonly subscribeRate: number
}

/** Takes over a WebSocket that speaks graphql-transport-ws. */
export type AcceptGraphqlWs = (webSocket: WebSocket, request: IncomingMessage, socket: Duplex) => void

/**
 * What graphql-ws passes from `onSubscribe` to `execute` and `subscribe`. It holds them, with the document, as long as the
 * subscription lasts: so the document is a minimal one that only has the operation's kind.
 */
interface Args extends ExecutionArgs {
  /** Undefined once it has been subscribed to. */
  pending: PendingOperation | undefined
}

interface PendingOperation {
  /** The memory that counts for the request. */
  readonly held: Hold
  readonly extra: Extra
  readonly operation: Operation
  readonly id: string
  /** The client has left, or completed this subscription. */
  readonly left: AbortSignal
}

interface Extra {
  readonly connection: Connection
  /** Set until the connection is acknowledged. */
  request: IncomingMessage | undefined
  readonly bucket: TokenBucket
  /** Operations in progress, whether their client still waits for them or not. */
  running: number
  /** Set once the connection is acknowledged. */
  viewer?: Viewer
  close(code: number, reason: string): void
  /** By id: those that wait for LISTEN (an AbortController), and those that have been accepted. */
  readonly subscriptions: Map<string, AbortController | Accepted>
}

interface Accepted {
  readonly handle: SubscriptionHandle
  /** Its `fail` ends the subscription with an `error` message. */
  readonly iterator: ExternalIterator
}

/**
 * The protocol graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). graphql-ws implements the
 * protocol, but events bypass it: its iterable never yields, while delivery writes the shared text of each event to the socket.
 */
export function createGraphqlWs(options: GraphqlWsOptions): AcceptGraphqlWs {
  const { admit, engine, connections, memory, toClientError, keepAlive, limits, observe } = options
  const { maxSubscriptionsPerConnection, subscribeRate } = limits

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: limits.connectionInitTimeout,
    async onConnect(context) {
      const { extra, connectionParams } = context
      const { connection, close } = extra
      const request = extra.request as IncomingMessage
      extra.request = undefined
      // A dictionary from the start: V8 would keep a shape for each object with different keys. The parameters may be as large
      // as a message, and are not needed any more.
      Object.assign(context, { subscriptions: Object.create(null), connectionParams: undefined })
      let held: Hold | undefined
      try {
        held = memory.hold(sizeOf(connectionParams ?? {}), connection.owner)
        const viewer = await admit({ transport: 'graphql-ws', request, connectionParams })
        if (isRefused(viewer)) {
          close(viewer.close.code, viewer.close.reason)
          return false
        }
        extra.viewer = viewer
        connection.serve(viewer, reason => close(CloseCode.Forbidden, reason.message))
      } catch (error) {
        if (!(error instanceof LimitExceeded)) throw error
        close(1013, overLimit(error)) // graphql-ws uses 4429 for something else, and its client does not reconnect after it
        return false
      } finally {
        held?.release()
      }
      return true
    },
    async onSubscribe({ extra }, id, payload) {
      const held = begin(extra, id, payload)
      // Returned, not thrown: a throw would close the whole socket.
      if (held instanceof LimitExceeded) return [toClientError(held)]
      const left = new AbortController()
      extra.subscriptions.set(id, left)
      let operation: Prepared
      try {
        operation = await engine.prepare({ viewer: extra.viewer as Viewer, ...takeOut(payload) }, left.signal)
      } catch (error) {
        held.release()
        throw error
      }
      if (operation.kind === 'invalid') {
        held.release()
        if (!left.signal.aborted) extra.subscriptions.delete(id)
        return operation.errors
      }
      const args: Args = {
        schema: operation.args.schema,
        document: DOCUMENTS[operation.kind],
        contextValue: undefined,
        pending: { held, extra, operation, id, left: left.signal },
      }
      return args
    },
    execute: args => run(args as Args),
    subscribe: args => run(args as Args),
    onNext: (_context, _id, _payload, _args, result) => formatResult(result) as ExecutionResult,
    onError: (_context, _id, _payload, errors) => errors.map(formatError),
  })

  async function run(args: Args): Promise<ExecutionResult | AsyncIterableIterator<never>> {
    const { held, operation, id, extra, left } = args.pending as PendingOperation
    const { connection, subscriptions } = extra
    args.pending = undefined
    extra.running++
    try {
      if (operation.kind !== 'subscription') {
        const result = await operation.run()
        if (left.aborted) return {}
        // graphql-ws would write the result with JSON.stringify, which changes numbers in JSON values. It still sends `complete`.
        connection.outbound.control(nextMessage(id, result))
        return NOTHING
      }
      const subscription = await operation.subscribe()
      if (!('request' in subscription)) return subscription
      const { request, after } = subscription
      const handle = await connection.subscribe(request, { id, after, signal: left })
      const iterator = new ExternalIterator(() => {
        handle.leave()
        if (subscriptions.get(id) === accepted) subscriptions.delete(id)
      })
      const accepted: Accepted = { handle, iterator }
      subscriptions.set(id, accepted)
      // The protocol has no message for "accepted"; a ping may carry any payload, and every client answers it.
      connection.outbound.control(positions([id], subscriptions, options.cursors))
      return iterator
    } catch (error) {
      if (left.aborted) return {}
      const refusal = new ExternalIterator()
      refusal.fail(toClientError(error))
      return refusal
    } finally {
      held.release()
      extra.running--
      if (!left.aborted && subscriptions.get(id) instanceof AbortController) subscriptions.delete(id)
    }
  }

  /** Counts an operation. @returns the exceeded limit, if there is one */
  function begin(extra: Extra, id: string, payload: SubscribePayload): Hold | LimitExceeded {
    const excess = excessOf(extra)
    if (excess) return excess
    try {
      return memory.hold(sizeOf(payload) + textSize(id), extra.connection.owner)
    } catch (error) {
      if (error instanceof LimitExceeded) return error
      throw error
    }
  }

  function excessOf({ bucket, subscriptions, running }: Extra): LimitExceeded | undefined {
    if (!bucket.take()) {
      return new LimitExceeded(
        'subscribeRate',
        subscribeRate,
        `You begin more than ${subscribeRate} operations each second on one WebSocket.`,
        'wait a moment',
      )
    }
    if (subscriptions.size + running < maxSubscriptionsPerConnection) return undefined
    let waiting = 0
    for (const subscription of subscriptions.values()) if (subscription instanceof AbortController) waiting++
    const accepted = subscriptions.size - waiting
    if (Math.max(waiting, running) + accepted < maxSubscriptionsPerConnection) return undefined
    return new LimitExceeded(
      'maxSubscriptionsPerConnection',
      maxSubscriptionsPerConnection,
      `You have more than ${maxSubscriptionsPerConnection} subscriptions on one WebSocket.`,
      'complete some',
    )
  }

  return function accept(webSocket, request, socket) {
    const subscriptions: Extra['subscriptions'] = new Map()
    const sink = new WebSocketSink({
      webSocket,
      socket,
      envelope: NEXT,
      onOther: ({ id }, { text }) => acceptedOf(subscriptions, id)?.iterator.fail(errorOf(text)),
      onCut: reason => endWebSocket(webSocket, reason),
    })
    const connection = connections.open({
      transport: 'graphql-ws',
      request,
      sink,
      end: () => endWebSocket(webSocket, 'stopping'),
      destroy: () => webSocket.terminate(),
    })
    sink.outbound = connection.outbound

    const close = (code: number, reason: string) => {
      connection.outbound.flush() // the last message explains the close
      closeWebSocket(webSocket, code, reason)
    }
    const closed = protocol.opened(
      {
        protocol: webSocket.protocol,
        send: text => connection.outbound.control(text),
        close,
        onMessage: take => {
          const onFault = (error: unknown) => {
            if (isTooDeep(error)) return close(CloseCode.BadRequest, TOO_DEEP)
            observe({ type: 'fault', id: 'graphql-ws', message: 'a message could not be handled', error })
            close(CloseCode.InternalServerError, 'Internal server error')
          }
          webSocket.on('message', data => {
            if (webSocket.readyState !== webSocket.OPEN) return // it came after the fault that closes the socket
            try {
              const message = readMessage(String(data))
              if (!message) return close(CloseCode.BadRequest, 'Invalid message received')
              // Not awaited: the promise lasts as long as the subscription, and would hold the message.
              take(message.text).catch(onFault)
              // graphql-ws ends subscriptions, but not those that still wait for LISTEN: the same id may be used again meanwhile.
              if (message.type === MessageType.Complete) abandon(subscriptions, message.id ?? '')
            } catch (error) {
              onFault(error)
            }
          })
        },
      },
      {
        ...{ connection, request, subscriptions, close, running: 0 },
        bucket: createTokenBucket(subscribeRate, Math.max(subscribeRate, maxSubscriptionsPerConnection)),
      },
    )
    countInbound({
      ...{ webSocket, socket: request.socket, memory, owner: connection.owner },
      onExcess: excess => close(1013, overLimit(excess)),
    })
    keepWebSocketAlive({
      webSocket,
      socket: request.socket,
      outbound: connection.outbound,
      interval: keepAlive,
      ping() {
        if (subscriptions.size === 0) return
        connection.outbound.control(positions(subscriptions.keys(), subscriptions, options.cursors))
      },
    })
    webSocket.once('close', (code, reason) => {
      for (const id of [...subscriptions.keys()]) abandon(subscriptions, id)
      connection.close()
      void closed(code, String(reason))
    })
  }
}

const DOCUMENTS: Readonly<Record<Operation['kind'], DocumentNode>> = {
  query: parseDocument('query { __typename }'),
  mutation: parseDocument('mutation { __typename }'),
  subscription: parseDocument('subscription { __typename }'),
}

/** Takes the operation out of a message, which graphql-ws holds as long as the subscription lasts. */
function takeOut(payload: SubscribePayload): Omit<Params, 'viewer'> {
  const { query, operationName, variables, extensions } = payload
  Object.assign(payload, { query: '', operationName: undefined, variables: undefined, extensions: undefined })
  return {
    query,
    operationName: operationName ?? undefined,
    variables: variables ?? undefined,
    extensions: extensions ?? undefined,
  }
}

function nextMessage(id: string, result: ExecutionResult): string {
  return `${beforeNext(id)}${stringifyResult(result)}${NEXT.after}`
}

function beforeNext(id: string): string {
  return `{"id":${JSON.stringify(id)},"type":"next","payload":`
}

/** An iterable that ends at once. */
const NOTHING: AsyncIterableIterator<never> = {
  next: async () => ({ done: true, value: undefined }),
  [Symbol.asyncIterator]: () => NOTHING,
}

/** https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md#next */
const NEXT: Envelope = {
  before: ({ id }) => beforeNext(id),
  after: '}',
  isOther: frame => frame.isFinal,
}

/**
 * Everything up to these positions has been sent: a client that reconnects starts after them, however quiet its subscriptions
 * were.
 */
function positions(
  ids: Iterable<string>,
  subscriptions: Extra['subscriptions'],
  { encode }: Pick<Cursors, 'encode'>,
): string {
  const cursors: string[] = []
  for (const id of ids) {
    const accepted = acceptedOf(subscriptions, id)
    if (!accepted) continue
    const position = accepted.handle.position()
    cursors.push(`${JSON.stringify(id)}:${position ? `"${encode(position)}"` : null}`)
  }
  // As text: V8 would keep a shape for each object with different keys.
  return `{"type":"${MessageType.Ping}","payload":{"cursors":{${cursors}}}}`
}

function acceptedOf(subscriptions: Extra['subscriptions'], id: string): Accepted | undefined {
  const subscription = subscriptions.get(id)
  return subscription instanceof AbortController ? undefined : subscription
}

/** Aborts a subscription that still waits for LISTEN. */
function abandon(subscriptions: Extra['subscriptions'], id: string): void {
  const waiting = subscriptions.get(id)
  if (!(waiting instanceof AbortController)) return
  waiting.abort()
  subscriptions.delete(id)
}

/** The error of a frame that ends a subscription. */
function errorOf(text: string): GraphQLError {
  const { errors } = JSON.parse(text) as { errors: [GraphQLFormattedError] }
  const { message, extensions } = errors[0]
  return new GraphQLError(message, extensions ? { extensions } : {})
}
