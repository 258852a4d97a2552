import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import type { Request } from '../delivery/groups.js'
import type { Connections } from './connections.js'
import { type Operation, stringifyResult } from './engine.js'
import type { ClientErrors } from './errors.js'
import { replyText } from './reply.js'
import { ResponseSink, type StreamFormat } from './response-sink.js'

export interface StreamResponses {
  /** Answers with a stream: of events for a subscription, of one result for any other operation. */
  respond(
    request: IncomingMessage,
    response: ServerResponse,
    operation: Operation,
    format: StreamFormat,
  ): Promise<void>
}

export function createStreamResponses(options: {
  readonly connections: Connections
  readonly toClientError: ClientErrors
  /** Interval of keep-alives in ms. */
  readonly keepAlive: number
}): StreamResponses {
  const { connections, toClientError, keepAlive } = options

  async function resultOf(operation: Operation): Promise<Request<unknown> | ExecutionResult> {
    try {
      return await (operation.kind === 'subscription' ? operation.subscribe() : operation.run())
    } catch (error) {
      return { errors: [toClientError(error)] }
    }
  }

  return {
    async respond(request, response, operation, format) {
      const left = new AbortController()
      // Bound at once: a client may leave while LISTEN is under way, and nobody would ever unsubscribe for it. Bound to the
      // socket, too: a response behind another one on the same connection (pipelining) never hears that it is gone.
      const leave = () => left.abort()
      response.once('close', leave)
      request.socket.once('close', leave)
      left.signal.addEventListener('abort', () => request.socket.off('close', leave), { once: true })

      const open = () => {
        request.socket.setNoDelay(true)
        response.writeHead(200, format.headers)
      }
      const answer = (result: ExecutionResult) => {
        open()
        response.end(format.opening + format.next(stringifyResult(result)) + format.completion)
      }
      const subscription = await resultOf(operation)
      if (left.signal.aborted) return
      if (!('source' in subscription)) return answer(subscription)

      const sink = new ResponseSink(response, format, () => response.destroy())
      const connection = connections.open({
        transport: format.name,
        request,
        sink,
        end() {
          // Ends as the format says; what waits is not waited for, the client resumes.
          if (response.headersSent) return sink.finish(format.completion)
          left.abort()
          replyText(response, 503, 'The server is stopping.\n', { connection: 'close' })
        },
        destroy: () => response.destroy(),
      })
      sink.outbound = connection.outbound
      left.signal.addEventListener('abort', () => connection.close(), { once: true })
      try {
        await connection.subscribe(subscription, '', left.signal)
      } catch (error) {
        connection.close()
        if (!left.signal.aborted) answer({ errors: [toClientError(error)] })
        return
      }
      open()
      response.write(format.opening)
      const timer = setInterval(() => connection.outbound.control(format.keepAlive), keepAlive)
      left.signal.addEventListener('abort', () => clearInterval(timer), { once: true })
    },
  }
}
