import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLError,
  parse,
} from 'graphql'
import type { SubscribePayload } from 'graphql-ws'
import { type Viewer, viewerName } from '../../auth/viewer.js'
import { documentIdsOf } from '../../graphql/documents/document-names.js'
import type { Engine } from '../../graphql/engine.js'
import type { ClientErrors } from '../../graphql/errors.js'
import type { Operation, Origin, Params, Prepared } from '../../graphql/operation.js'
import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Observe } from '../../lib/observation.js'
import { sizeOf, textSize } from '../../lib/size-of.js'
import { inSpan, inTraceOf, type TraceCarrier } from '../../lib/telemetry/tracing.js'
import type { Cursors } from '../../log/cursors.js'
import type { Connection } from '../connection.js'
import { nextMessage } from './graphql-ws-messages.js'
import type { SocketSubscriptions } from './socket-subscriptions.js'

export interface OperationOptions {
  readonly engine: Engine
  readonly cursors: Pick<Cursors, 'encode'>
  readonly memory: ClientMemory
  readonly toClientError: ClientErrors
  readonly observe: Observe
}

/** The client of one WebSocket. */
export interface OperationClient {
  readonly connection: Connection
  readonly subscriptions: SocketSubscriptions
  /** Set once the connection is acknowledged. */
  viewer?: Viewer
  /** The trace of the client, if it sent one with `connection_init`. */
  trace?: TraceCarrier | undefined
  /** Makes graphql-ws forget an operation and send nothing more about it, as if the client had completed it. */
  forget(id: string): void
}

/** What graphql-ws passes from `onSubscribe` to `execute` and `subscribe`. It only needs the operation's kind of the document. */
export interface OperationArgs extends ExecutionArgs {
  readonly pending: PendingOperation
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
  /**
   * Never rejects.
   * @returns the result, which graphql-ws sends; it sends none if it has been told to forget the operation. Or an iterable that only
   * ends or fails, so that graphql-ws sends that
   */
  run(args: OperationArgs): Promise<ExecutionResult | AsyncIterableIterator<never>>
}

/**
 * One operation, from the `subscribe` of its client until it is accepted, has its result, or is refused. Until then its memory and the
 * operation count towards the limits of the client. If the client no longer waits, nothing is sent and nothing stays subscribed.
 */
export function createOperations({
  engine,
  cursors,
  memory,
  toClientError,
  observe,
}: OperationOptions): Operations {
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
    prepare: (client, id, payload) => traced(client, 'listenql.prepare', () => prepare(client, id, payload)),
    run: ({ pending }) => traced(pending.client, 'listenql.request', () => run(pending)),
  }

  async function prepare(
    client: OperationClient,
    id: string,
    payload: SubscribePayload,
  ): ReturnType<Operations['prepare']> {
    const viewer = client.viewer as Viewer
    const held = begin(client, id, payload)
    if (held instanceof LimitExceeded) {
      const { code, limit } = held
      observe({ type: 'operation.refused', ...originOf(client), ...viewerName(viewer), code, limit })
      return [toClientError(held)]
    }
    const left = client.subscriptions.wait(id)
    let operation: Prepared
    try {
      operation = await engine.prepare({ viewer, origin: originOf(client), ...takeOut(payload) }, left)
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
  }

  async function run({ client, id, operation, held, left }: PendingOperation): ReturnType<Operations['run']> {
    const { connection, subscriptions } = client
    subscriptions.running++
    try {
      if (left.aborted) return {} // as a session does that has ended while the operation waited for its turn
      if (operation.kind !== 'subscription') {
        const result = await operation.run()
        if (left.aborted) return {}
        // graphql-ws would write the result with JSON.stringify, which changes numbers in JSON values. It still sends `complete`.
        connection.outbound.control(nextMessage(id, result))
        return withoutResults(async () => DONE)
      }
      const result = await operation.subscribe()
      if (left.aborted) return {}
      if (!('request' in result)) return result
      const { request, ...start } = result
      const subscription = await connection.subscribe(request, { id, ...start, signal: left })
      if (left.aborted) {
        subscription.leave()
        return {}
      }
      subscriptions.accept(id, subscription)
      // graphql-ws would iterate as long as the subscription lasts. That takes more memory than everything else about it.
      client.forget(id)
      // The protocol has no message for "accepted".
      connection.outbound.control(subscriptions.positions(cursors, [id]))
      return {}
    } catch (error) {
      return left.aborted ? {} : withoutResults(() => Promise.reject(toClientError(error)))
    } finally {
      held.release()
      subscriptions.running--
      subscriptions.endWait(id, left)
    }
  }
}

function traced<T>({ trace }: OperationClient, name: string, work: () => Promise<T>): Promise<T> {
  return inTraceOf(trace, () => inSpan(name, { 'listenql.transport': 'graphql-ws' }, work))
}

function originOf({ connection }: OperationClient): Origin {
  return { transport: 'graphql-ws', remote: connection.remote }
}

const DOCUMENTS: Readonly<Record<Operation['kind'], DocumentNode>> = {
  query: parse('query { __typename }'),
  mutation: parse('mutation { __typename }'),
  subscription: parse('subscription { __typename }'),
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** An iterable without results, which ends or fails at once. */
function withoutResults(end: () => Promise<IteratorReturnResult<undefined>>): AsyncIterableIterator<never> {
  const iterator: AsyncIterableIterator<never> = {
    next: end,
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}

/** Takes the operation out of a message, which graphql-ws holds until the operation has run. */
function takeOut(payload: SubscribePayload): Omit<Params, 'viewer'> {
  const { query, operationName, variables, extensions } = payload
  const documentIds = documentIdsOf({ ...payload })
  Object.assign(payload, { query: '', operationName: undefined, variables: undefined, extensions: undefined })
  return {
    query,
    documentIds,
    operationName: operationName ?? undefined,
    variables: variables ?? undefined,
    extensions: extensions ?? undefined,
  }
}
