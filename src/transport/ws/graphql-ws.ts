import type { IncomingMessage } from 'node:http'
import type { ExecutionResult } from 'graphql'
import { makeServer } from 'graphql-ws'
import { formatError, formatResult } from '../../graphql/result.js'
import { IntervalQueue } from '../../lib/collections/interval-queue.js'
import type { Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Observe } from '../../lib/observation.js'
import { sizeOf } from '../../lib/size-of.js'
import { traceOf } from '../../lib/telemetry/tracing.js'
import { type Admit, isRefused } from '../admission.js'
import type { Connections } from '../connections.js'
import { GraphqlWsClient, type GraphqlWsLimits, type GraphqlWsShared } from './graphql-ws-client.js'
import { NEXT } from './graphql-ws-messages.js'
import { createOperations, type OperationArgs, type OperationOptions } from './graphql-ws-operation.js'
import type { ServerWebSocket } from './server-web-socket.js'

export interface GraphqlWsOptions extends OperationOptions {
  readonly admit: Admit
  readonly connections: Connections
  /** Interval of pings in ms. */
  readonly keepAlive: number
  readonly limits: GraphqlWsLimits
  readonly observe: Observe
}

/** Takes over a WebSocket that speaks graphql-transport-ws. */
export type AcceptGraphqlWs = (webSocket: ServerWebSocket, request: IncomingMessage) => void

/**
 * The protocol graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). graphql-ws implements the
 * protocol and calls the functions of `protocol` in the order of its messages. Once a subscription is accepted, it forgets it:
 * delivery writes the shared text of each event to the socket, and `GraphqlWsClient` completes the subscription.
 */
export function createGraphqlWs(options: GraphqlWsOptions): AcceptGraphqlWs {
  const { admit, memory, observe } = options
  const operations = createOperations(options)

  const protocol = makeServer<Record<string, unknown>, GraphqlWsClient>({
    connectionInitWaitTimeout: 0, // see GraphqlWsClient
    async onConnect(context) {
      const { extra: client, connectionParams } = context
      const { connection } = client
      const request = client.begin()
      // They may be as large as a message, and are not needed any more.
      if (connectionParams) Object.assign(context, { connectionParams: undefined })
      let held: Hold | undefined
      try {
        held = memory.hold(sizeOf(connectionParams ?? {}), connection.owner)
        const viewer = await admit({ transport: 'graphql-ws', request, connectionParams })
        if (isRefused(viewer)) {
          client.close(viewer.close.code, viewer.close.reason)
          return false
        }
        client.viewer = viewer
        client.trace = traceOf(connectionParams)
        connection.serve(viewer)
      } catch (error) {
        if (!(error instanceof LimitExceeded)) throw error
        if (!client.viewer) client.refused(error) // else `serve` has observed it
        client.close(1013, error.line) // graphql-ws uses 4429 for something else, and its client does not reconnect after it
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
  const shared: GraphqlWsShared = {
    ...options,
    ...{ transport: 'graphql-ws', envelope: NEXT, protocol },
    pings: new IntervalQueue(options.keepAlive),
    refused: (remote, { code, limit }) =>
      observe({ type: 'operation.refused', transport: 'graphql-ws', remote, code, limit }),
  }
  return (webSocket, request) => void new GraphqlWsClient(shared, webSocket, request)
}
