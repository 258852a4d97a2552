import type { IncomingMessage } from 'node:http'
import { type ExecutionResult, GraphQLError, type GraphQLFormattedError } from 'graphql'
import { CloseCode, MessageType, makeServer } from 'graphql-ws'
import type { WebSocket } from 'ws'
import { isTooDeep, TOO_DEEP } from '../../graphql/errors.js'
import { formatError, formatResult } from '../../graphql/result.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Observe } from '../../lib/observation.js'
import { sizeOf } from '../../lib/size-of.js'
import { type Admit, isRefused } from '../admission.js'
import { closeOf } from '../ends.js'
import { connectWebSocket, type WebSocketOptions } from './connect-web-socket.js'
import { errorMessage, NEXT, readMessage } from './graphql-ws-messages.js'
import {
  createOperations,
  type OperationArgs,
  type OperationClient,
  type OperationOptions,
} from './graphql-ws-operation.js'
import { countInbound } from './inbound.js'
import { closeWebSocket } from './sink.js'
import { SocketSubscriptions, type SubscriptionLimits } from './socket-subscriptions.js'

export interface GraphqlWsOptions extends WebSocketOptions, OperationOptions {
  readonly admit: Admit
  readonly limits: GraphqlWsLimits
  readonly observe: Observe
}

export interface GraphqlWsLimits extends SubscriptionLimits {
  /** Longest time from the opening of a WebSocket to its `connection_init`, in ms. */
  readonly connectionInitTimeout: number
}

/** Takes over a WebSocket that speaks graphql-transport-ws. */
export type AcceptGraphqlWs = (webSocket: WebSocket, request: IncomingMessage) => void

interface Client extends OperationClient {
  /** Set until the connection is acknowledged. */
  request: IncomingMessage | undefined
  close(code: number, reason: string): void
  /** The viewer's time is over. */
  readonly end: (error: ListenqlError) => void
}

/**
 * The protocol graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). graphql-ws implements the
 * protocol and calls the functions of `protocol` in the order of its messages, but events bypass it: its iterable never yields, while
 * delivery writes the shared text of each event to the socket.
 */
export function createGraphqlWs(options: GraphqlWsOptions): AcceptGraphqlWs {
  const { admit, memory, limits, observe } = options
  const operations = createOperations(options)

  const protocol = makeServer<Record<string, unknown>, Client>({
    connectionInitWaitTimeout: limits.connectionInitTimeout,
    async onConnect(context) {
      const { extra: client, connectionParams } = context
      const { connection, close } = client
      const request = client.request as IncomingMessage
      client.request = undefined
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
        client.viewer = viewer
        connection.serve(viewer, client.end)
      } catch (error) {
        if (!(error instanceof LimitExceeded)) throw error
        close(1013, error.line) // graphql-ws uses 4429 for something else, and its client does not reconnect after it
        return false
      } finally {
        held?.release()
      }
      return true
    },
    onSubscribe: ({ extra }, id, payload) => operations.prepare(extra, id, payload),
    execute: args => operations.run(args as OperationArgs),
    subscribe: args => operations.run(args as OperationArgs),
    onNext: (_context, _id, _payload, _args, result) => formatResult(result) as ExecutionResult,
    onError: (_context, _id, _payload, errors) => errors.map(formatError),
  })

  return function accept(webSocket, request) {
    const subscriptions = new SocketSubscriptions(limits)
    const { connection, sendLast } = connectWebSocket(options, {
      transport: 'graphql-ws',
      ...{ webSocket, request },
      envelope: NEXT,
      onOther: ({ id }, { text }) => subscriptions.fail(id, errorOf(text)),
      ping(outbound) {
        if (subscriptions.size > 0) outbound.control(subscriptions.positions(options.cursors))
      },
    })
    function close(code: number, reason: string): void {
      connection.outbound.flush() // the last message explains the close
      closeWebSocket(webSocket, code, reason)
    }
    function end(error: ListenqlError): void {
      // graphql-ws's client reconnects after 4403, whatever the reason, but not for a subscription that has ended with an error.
      if (error.code === 'FORBIDDEN')
        sendLast([...subscriptions.ids()].map(id => errorMessage(id, options.toClientError(error))))
      const { code, reason } = closeOf(error)
      closeWebSocket(webSocket, code, reason)
    }
    function onFault(error: unknown): void {
      if (isTooDeep(error)) return close(CloseCode.BadRequest, TOO_DEEP)
      observe({ type: 'fault', id: 'graphql-ws', message: 'a message could not be handled', error })
      close(CloseCode.InternalServerError, 'Internal server error')
    }
    const closed = protocol.opened(
      {
        protocol: webSocket.protocol,
        send: text => connection.outbound.control(text),
        close,
        onMessage: handle => {
          webSocket.on('message', data => {
            if (webSocket.readyState !== webSocket.OPEN) return // it came after the fault that closes the socket
            try {
              const message = readMessage(String(data))
              if (!message) return close(CloseCode.BadRequest, 'Invalid message received')
              // Not awaited: the promise lasts as long as the subscription, and would hold the message.
              handle(message.text).catch(onFault)
              if (message.type === MessageType.Complete) subscriptions.abandon(message.id ?? '')
            } catch (error) {
              onFault(error)
            }
          })
        },
      },
      { connection, request, subscriptions, close, end },
    )
    // Registered after the handler of messages, so that a message counts as arriving until its operation counts.
    countInbound({
      ...{ webSocket, socket: request.socket, memory, owner: connection.owner },
      onExcess: excess => close(1013, excess.line),
    })
    webSocket.once('close', (code, reason) => {
      subscriptions.abandonAll()
      connection.close()
      void closed(code, String(reason))
    })
  }
}

/** The error of a frame that ends a subscription. */
function errorOf(text: string): GraphQLError {
  const { errors } = JSON.parse(text) as { errors: [GraphQLFormattedError] }
  const { message, extensions } = errors[0]
  return new GraphQLError(message, extensions ? { extensions } : {})
}
