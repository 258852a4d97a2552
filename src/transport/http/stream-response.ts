import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import type { Viewer } from '../../auth/viewer.js'
import type { SubscriptionHandle } from '../../delivery/subscription-handle.js'
import type { ClientErrors } from '../../graphql/errors.js'
import type { Operation, Subscription } from '../../graphql/operation.js'
import { stringifyResult } from '../../graphql/result.js'
import { IntervalQueue } from '../../lib/collections/interval-queue.js'
import type { Hold } from '../../lib/limits/client-memory.js'
import { textSize } from '../../lib/size-of.js'
import type { Cursors } from '../../log/cursors.js'
import type { Connections } from '../connections.js'
import { onceClosed } from './closed.js'
import { replyPaced } from './paced-reply.js'
import { RETRY, replyErrors, statusOf } from './reply.js'
import type { StreamFormat } from './response-sink.js'
import { CLOSE, StreamClient, type StreamShared } from './stream-client.js'

export interface StreamResponses {
  /** Responds with a stream: the events of a subscription, or the one result of any other operation. */
  respond(asked: StreamRequest): Promise<void>
}

export interface StreamRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly operation: Operation
  readonly format: StreamFormat
  readonly viewer: Viewer
  /** Whether the request has a position that its client remembers by itself. */
  readonly isResuming: boolean
  /** The memory that counts for the request. */
  readonly held: Hold
}

export function createStreamResponses(options: {
  readonly connections: Connections
  readonly cursors: Pick<Cursors, 'encode'>
  readonly toClientError: ClientErrors
  /** Interval of keep-alives in ms. */
  readonly keepAlive: number
  /** Longest time without progress while a response is sent, in ms. */
  readonly stallTimeout: number
}): StreamResponses {
  const { toClientError, stallTimeout } = options
  const shared: StreamShared = { ...options, keepAlives: new IntervalQueue(options.keepAlive) }

  async function resultOf(operation: Operation): Promise<Subscription | ExecutionResult> {
    try {
      return await (operation.kind === 'subscription' ? operation.subscribe() : operation.run())
    } catch (error) {
      return { errors: [toClientError(error)] }
    }
  }

  return {
    async respond({ request, response, operation, format, viewer, isResuming, held }) {
      const left = new AbortController()
      // Registered at once: a client that leaves during LISTEN would otherwise never be unsubscribed.
      const stopWatching = onceClosed(request, response, () => left.abort())

      const answer = (result: ExecutionResult) => {
        const json = stringifyResult(result)
        held.resize(textSize(json))
        request.socket.setNoDelay(true)
        const body = Buffer.from(format.opening + format.last(json, isResuming))
        return replyPaced(response, 200, format.headers, body, stallTimeout)
      }
      const subscription = await resultOf(operation)
      if (left.signal.aborted) return
      if (!('request' in subscription)) return answer(subscription)

      stopWatching() // the client watches by itself
      const client = new StreamClient(shared, request, response, format, left)
      const { connection } = client
      try {
        connection.serve(viewer)
      } catch (error) {
        client.leave()
        return replyErrors(response, statusOf(error), [toClientError(error)], { ...RETRY, ...CLOSE })
      }
      let handle: SubscriptionHandle
      try {
        const { request: asked, ...start } = subscription
        handle = await connection.subscribe(asked, { id: '', ...start, signal: left.signal })
      } catch (error) {
        connection.close()
        if (!left.signal.aborted) await answer({ errors: [toClientError(error)] })
        return
      }
      if (!left.signal.aborted) client.accept(handle)
    },
  }
}
