import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import type { Viewer } from '../../auth/viewer.js'
import type { SubscriptionHandle } from '../../delivery/subscription.js'
import type { ClientErrors } from '../../graphql/errors.js'
import type { Operation, Subscription } from '../../graphql/operation.js'
import { stringifyResult } from '../../graphql/result.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { Hold } from '../../lib/limits/client-memory.js'
import { textSize } from '../../lib/size-of.js'
import type { Cursors } from '../../log/cursors.js'
import type { Connections } from '../connections.js'
import { SERVER_STOPPING } from '../ends.js'
import { onceClosed } from './closed.js'
import { replyPaced } from './paced-reply.js'
import { RETRY, replyErrors, statusOf } from './reply.js'
import { cutResponse, HttpSink, type StreamFormat } from './response-sink.js'

export interface StreamResponses {
  /** Responds with a stream: the events of a subscription, or the one result of any other operation. */
  respond(asked: StreamRequest): Promise<void>
}

const CLOSE = { connection: 'close' }

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
  const { connections, cursors, toClientError, keepAlive, stallTimeout } = options

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
      onceClosed(request, response, () => left.abort())

      const open = () => {
        request.socket.setNoDelay(true)
        response.writeHead(200, format.headers)
      }
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

      const sink = new HttpSink(response, format, cursors, {
        cut: () => cutResponse(response),
        final: () => connection.close(),
      })
      const connection = connections.open({
        transport: format.name,
        request,
        sink,
        end() {
          left.abort()
          if (!response.headersSent) {
            // An EventSource that gets a status other than 200 does not reconnect.
            if (!format.isCutOff) {
              const headers = { ...CLOSE, 'retry-after': '1' }
              return replyErrors(response, 503, [toClientError(SERVER_STOPPING)], headers)
            }
            open()
            response.write(format.opening)
          }
          sink.endForReconnect(SERVER_STOPPING) // waiting events are not sent first, as the client resumes
        },
        destroy: () => response.destroy(),
      })
      sink.outbound = connection.outbound
      const endViewer = (reason: ListenqlError) => {
        const errors = [toClientError(reason)]
        if (response.headersSent)
          return sink.finish(format.last(stringifyResult({ data: null, errors }), true))
        left.abort()
        replyErrors(response, reason.code === 'FORBIDDEN' ? 403 : 401, errors, CLOSE)
      }
      try {
        connection.serve(viewer, endViewer)
      } catch (error) {
        connection.close()
        left.abort()
        return replyErrors(response, statusOf(error), [toClientError(error)], { ...RETRY, ...CLOSE })
      }
      left.signal.addEventListener('abort', () => connection.close(), { once: true })
      let handle: SubscriptionHandle
      try {
        const { request: asked, ...start } = subscription
        handle = await connection.subscribe(asked, { id: '', ...start, signal: left.signal })
      } catch (error) {
        connection.close()
        if (!left.signal.aborted) await answer({ errors: [toClientError(error)] })
        return
      }
      if (left.signal.aborted) return
      open()
      const position = () => {
        const at = handle.position()
        return at && cursors.encode(at)
      }
      response.write(
        position() === undefined ? format.opening : format.opening + format.keepAlive(position()),
      )
      const timer = setInterval(() => connection.outbound.control(format.keepAlive(position())), keepAlive)
      left.signal.addEventListener('abort', () => clearInterval(timer), { once: true })
    },
  }
}
