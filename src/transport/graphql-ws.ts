import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ExecutionArgs, ExecutionResult } from 'graphql'
import { CloseCode, makeServer } from 'graphql-ws'
import type { WebSocket } from 'ws'
import { createEventQueue } from '../lib/event-queue.js'
import type { Observe } from '../lib/observation.js'
import type { Connection, Connections } from './connections.js'
import type { Engine, Operation } from './engine.js'
import { type ClientErrors, formatError, formatResult } from './errors.js'
import { keepWebSocketAlive } from './keep-alive.js'
import { CUT_REASONS, closeWebSocket, WebSocketSink } from './websocket-sink.js'

export interface GraphqlWsOptions {
  readonly engine: Engine
  readonly connections: Connections
  readonly toClientError: ClientErrors
  /** Interval of pings in ms. */
  readonly keepAlive: number
  readonly observe: Observe
}

/** Takes over a WebSocket that speaks graphql-transport-ws. */
export type AcceptGraphqlWs = (webSocket: WebSocket, request: IncomingMessage, socket: Duplex) => void

/** What graphql-ws hands from `onSubscribe` to `execute` and `subscribe`. */
interface Args extends ExecutionArgs {
  readonly operation: Operation
  readonly id: string
  readonly connection: Connection
  readonly left: AbortSignal
}

interface Extra {
  readonly connection: Connection
  readonly left: AbortSignal
}

/**
 * The protocol graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). graphql-ws keeps the
 * protocol; the events themselves go around it: the iterable that it is given never yields, while delivery writes the shared
 * text of each event to the socket.
 */
export function createGraphqlWs(options: GraphqlWsOptions): AcceptGraphqlWs {
  const { engine, connections, toClientError, keepAlive, observe } = options

  const protocol = makeServer<Record<string, unknown>, Extra>({
    onSubscribe({ extra }, id, payload) {
      const operation = engine.prepare({
        query: payload.query,
        operationName: payload.operationName ?? undefined,
        variables: payload.variables ?? undefined,
        extensions: payload.extensions ?? undefined,
      })
      // Returned, not thrown: a throw would close the whole socket.
      if (operation.kind === 'invalid') return operation.errors
      const args: Args = { ...operation.args, ...extra, operation, id }
      return args
    },
    execute: args => run(args as Args),
    subscribe: args => run(args as Args),
    onNext: (_context, _id, _payload, _args, result) => formatResult(result) as ExecutionResult,
    onError: (_context, _id, _payload, errors) => errors.map(formatError),
  })

  async function run({
    operation,
    id,
    connection,
    left,
  }: Args): Promise<ExecutionResult | AsyncIterableIterator<never>> {
    try {
      if (operation.kind !== 'subscription') return await operation.run()
      const subscription = await operation.subscribe()
      if (!('source' in subscription)) return subscription
      const silent = createEventQueue<never>(0)
      silent.onReturn(await connection.subscribe(subscription, id, left))
      // The protocol has no word for "accepted"; a ping may carry anything, and every client answers it.
      connection.outbound.control(JSON.stringify({ type: 'ping', payload: { cursors: { [id]: null } } }))
      return silent.iterator
    } catch (error) {
      return left.aborted ? {} : { errors: [toClientError(error)] }
    }
  }

  return function accept(webSocket, request, socket) {
    const left = new AbortController()
    const sink = new WebSocketSink({
      webSocket,
      socket,
      encode: (subscriber, frame) =>
        `{"id":${JSON.stringify(subscriber.id)},"type":"next","payload":${frame.text}}`,
      onCut: reason => closeWebSocket(webSocket, 1013, CUT_REASONS[reason]),
    })
    const connection = connections.open({
      transport: 'graphql-ws',
      request,
      sink,
      end: () => closeWebSocket(webSocket, 1001, 'The server is stopping'),
      destroy: () => webSocket.terminate(),
    })
    sink.outbound = connection.outbound

    const close = (code: number, reason: string) => {
      connection.outbound.flush() // what was said last explains the close
      closeWebSocket(webSocket, code, reason)
    }
    const closed = protocol.opened(
      {
        protocol: webSocket.protocol,
        send: text => connection.outbound.control(text),
        close,
        onMessage: take => {
          webSocket.on('message', async data => {
            try {
              await take(String(data))
            } catch (error) {
              observe({ type: 'fault', id: 'graphql-ws', message: 'a message could not be handled', error })
              close(CloseCode.InternalServerError, 'Internal server error')
            }
          })
        },
      },
      { connection, left: left.signal },
    )
    keepWebSocketAlive(webSocket, keepAlive)
    webSocket.once('close', (code, reason) => {
      left.abort()
      connection.close()
      void closed(code, String(reason))
    })
  }
}
