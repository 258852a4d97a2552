import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLError,
  parse,
} from 'graphql'
import type { SubscribePayload } from 'graphql-ws'
import type { Viewer } from '../../auth/viewer.js'
import type { Engine } from '../../graphql/engine.js'
import type { ClientErrors } from '../../graphql/errors.js'
import type { Operation, Params, Prepared } from '../../graphql/operation.js'
import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { sizeOf, textSize } from '../../lib/size-of.js'
import type { Cursors } from '../../log/cursors.js'
import type { Connection } from '../connections.js'
import { ExternalIterator } from './external-iterator.js'
import { nextMessage } from './graphql-ws-messages.js'
import type { SocketSubscriptions } from './socket-subscriptions.js'

export interface OperationOptions {
  readonly engine: Engine
  readonly cursors: Pick<Cursors, 'encode'>
  readonly memory: ClientMemory
  readonly toClientError: ClientErrors
}

/** The client of one WebSocket. */
export interface OperationClient {
  readonly connection: Connection
  readonly subscriptions: SocketSubscriptions
  /** Set once the connection is acknowledged. */
  viewer?: Viewer
}

/**
 * What graphql-ws passes from `onSubscribe` to `execute` and `subscribe`. It holds them, with the document, as long as the
 * subscription lasts: so the document is a minimal one that only has the operation's kind.
 */
export interface OperationArgs extends ExecutionArgs {
  /** Undefined once the operation has begun to run. */
  pending: PendingOperation | undefined
}

interface PendingOperation {
  readonly client: OperationClient
  readonly id: string
  readonly operation: Operation
  /** The memory that counts for the request. */
  readonly held: Hold
  /** The client has left, or completed this operation. */
  readonly left: AbortSignal
}

/** The steps of one operation, as graphql-ws calls them. */
export interface Operations {
  /** The client sent `subscribe`. @returns the errors that prevent the operation; they are returned, since a throw closes the socket */
  prepare(
    client: OperationClient,
    id: string,
    payload: SubscribePayload,
  ): Promise<OperationArgs | readonly GraphQLError[]>
  /** Never rejects. @returns an iterator without results, since delivery and this function write them to the socket */
  run(args: OperationArgs): Promise<ExecutionResult | AsyncIterableIterator<never>>
}

/**
 * One operation, from the `subscribe` of its client until it is accepted, has its result, or is refused. Until then its memory and the
 * operation count towards the limits of the client. If the client no longer waits, nothing is sent and nothing stays subscribed.
 */
export function createOperations({ engine, cursors, memory, toClientError }: OperationOptions): Operations {
  /** Counts an operation. @returns the exceeded limit, if there is one */
  function begin({ connection, subscriptions }: OperationClient, id: string, payload: SubscribePayload) {
    const excess = subscriptions.excess()
    if (excess) return excess
    try {
      return memory.hold(sizeOf(payload) + textSize(id), connection.owner)
    } catch (error) {
      if (error instanceof LimitExceeded) return error
      throw error
    }
  }

  return {
    async prepare(client, id, payload) {
      const held = begin(client, id, payload)
      if (held instanceof LimitExceeded) return [toClientError(held)]
      const left = client.subscriptions.wait(id)
      let operation: Prepared
      try {
        operation = await engine.prepare({ viewer: client.viewer as Viewer, ...takeOut(payload) }, left)
      } catch (error) {
        held.release()
        throw error
      }
      if (operation.kind === 'invalid') {
        held.release()
        client.subscriptions.endWait(id, left)
        return operation.errors
      }
      return {
        schema: operation.args.schema,
        document: DOCUMENTS[operation.kind],
        contextValue: undefined,
        pending: { client, id, operation, held, left },
      }
    },
    async run(args) {
      const { client, id, operation, held, left } = args.pending as PendingOperation
      const { connection, subscriptions } = client
      args.pending = undefined
      subscriptions.running++
      try {
        if (operation.kind !== 'subscription') {
          const result = await operation.run()
          if (left.aborted) return {}
          // graphql-ws would write the result with JSON.stringify, which changes numbers in JSON values. It still sends `complete`.
          connection.outbound.control(nextMessage(id, result))
          return NOTHING
        }
        const subscription = await operation.subscribe()
        if (left.aborted) return {}
        if (!('request' in subscription)) return subscription
        const { request, ...start } = subscription
        const handle = await connection.subscribe(request, { id, ...start, signal: left })
        const iterator = subscriptions.accept(id, handle)
        // The protocol has no message for "accepted".
        connection.outbound.control(subscriptions.positions(cursors, [id]))
        return iterator
      } catch (error) {
        if (left.aborted) return {}
        const refusal = new ExternalIterator()
        refusal.fail(toClientError(error))
        return refusal
      } finally {
        held.release()
        subscriptions.running--
        subscriptions.endWait(id, left)
      }
    },
  }
}

const DOCUMENTS: Readonly<Record<Operation['kind'], DocumentNode>> = {
  query: parse('query { __typename }'),
  mutation: parse('mutation { __typename }'),
  subscription: parse('subscription { __typename }'),
}

/** An iterable that ends at once. */
const NOTHING: AsyncIterableIterator<never> = {
  next: async () => ({ done: true, value: undefined }),
  [Symbol.asyncIterator]: () => NOTHING,
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
