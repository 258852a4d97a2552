import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ExecutionResult, GraphQLError } from 'graphql'
import { type Viewer, viewerName } from '../../auth/viewer.js'
import type { Engine } from '../../graphql/engine.js'
import type { ClientErrors } from '../../graphql/errors.js'
import type { Origin } from '../../graphql/operation.js'
import { stringifyResult } from '../../graphql/result.js'
import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { networkOf } from '../../lib/networks.js'
import type { Observe } from '../../lib/observation.js'
import { sizeOf, textSize } from '../../lib/size-of.js'
import { inSpan, inTraceOf } from '../../lib/telemetry/tracing.js'
import { type Admit, isRefused } from '../admission.js'
import type { ClientAddresses } from '../limits/client-address.js'
import { acceptsPage, type JsonType, negotiate } from './accept.js'
import { type Body, ENCODINGS, readBody } from './body.js'
import { onceClosed } from './closed.js'
import { varyBy } from './cors.js'
import type { Graphiql } from './graphiql.js'
import { lastEventIdOf } from './last-event-id.js'
import { parseMediaTypes } from './media-type.js'
import { multipart } from './multipart.js'
import { replyPaced } from './paced-reply.js'
import { RETRY, replyErrors, replyText, statusOf } from './reply.js'
import { hasOperation, paramsOfBody, paramsOfQuery } from './request-params.js'
import { eventSource, sse } from './sse.js'
import type { StreamResponses } from './stream-response.js'

export interface GraphqlHttpOptions {
  readonly admit: Admit
  readonly engine: Engine
  readonly streams: StreamResponses
  readonly toClientError: ClientErrors
  readonly graphiql: Graphiql | undefined
  readonly addresses: ClientAddresses
  readonly memory: ClientMemory
  /** Read at each request, since a reload may change them. */
  readonly limits: {
    /** Largest body in bytes. */
    readonly maxMessage: number
  }
  /** Longest time without progress while a response is sent, in ms. */
  readonly stallTimeout: number
  readonly observe: Observe
}

/** `/graphql` over HTTP: a page for browsers, a stream for subscriptions, JSON for everything else. */
export interface GraphqlHttp {
  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>
}

export function createGraphqlHttp({
  admit,
  engine,
  streams,
  toClientError,
  graphiql,
  addresses,
  memory,
  limits,
  stallTimeout,
  observe,
}: GraphqlHttpOptions): GraphqlHttp {
  return {
    async handle(request, response, url) {
      const { method, headers } = request
      varyBy(response, 'accept')
      if (method !== 'GET' && method !== 'POST') {
        return replyText(response, 405, 'Use GET or POST.\n', { allow: 'GET, POST, OPTIONS' })
      }
      if (method === 'GET' && graphiql && !hasOperation(url.searchParams) && acceptsPage(headers.accept)) {
        return graphiql.serve(request, response)
      }
      if (method === 'POST' && !isJson(headers['content-type'])) {
        // A form on any page can send other types without a preflight request.
        const message = 'Send the request as JSON in UTF-8, with the header "content-type: application/json".'
        return refuse(response, 415, message)
      }
      const viewer = await admit({ transport: 'http', request })
      // The client has left: nothing would end its subscription.
      if (response.destroyed || request.socket.destroyed) return
      if (isRefused(viewer)) return replyErrors(response, viewer.status, [viewer.error], viewer.headers)
      url.searchParams.delete('access_token') // not needed from here on
      const held = memory.hold(0, networkOf(addresses.of(request)))
      const left = new AbortController()
      const stopWatching = onceClosed(request, response, () => {
        held.release()
        left.abort()
      })
      try {
        const work = () => answer(request, response, url, viewer, held, left.signal)
        await inTraceOf(headers, () => inSpan('listenql.request', { 'listenql.transport': 'http' }, work))
      } catch (error) {
        if (!(error instanceof LimitExceeded) || response.headersSent) throw error
        refused(request, viewer, error)
        replyErrors(response, statusOf(error), [toClientError(error)], { ...RETRY, ...CLOSE })
      } finally {
        held.release()
        stopWatching() // a stream has begun, or the response is complete
      }
    },
  }

  function originOf(request: IncomingMessage): Origin {
    return { transport: 'http', remote: `${addresses.of(request)}:${request.socket.remotePort}` }
  }

  function refused(
    request: IncomingMessage,
    viewer: Viewer,
    error: Pick<LimitExceeded, 'code' | 'limit'>,
  ): void {
    const { code, limit } = error
    observe({ type: 'operation.refused', ...originOf(request), ...viewerName(viewer), code, limit })
  }

  /** @throws LimitExceeded if there is no memory for it */
  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    viewer: Viewer,
    held: Hold,
    left: AbortSignal,
  ): Promise<void> {
    const { method, headers } = request
    const body =
      method === 'POST'
        ? await readBody(request, limits.maxMessage, bytes => held.resize(2 * bytes))
        : undefined
    if (body && body.kind !== 'text') {
      if (body.kind === 'too-large') refused(request, viewer, { code: 'LIMIT_EXCEEDED', limit: 'maxMessage' })
      return refuseBody(response, body.kind)
    }
    const asked = body ? paramsOfBody(body.text) : paramsOfQuery(url.searchParams)
    if (typeof asked === 'string') return refuse(response, 400, asked)
    held.resize(textSize(body?.text ?? '') + sizeOf(asked))
    const lastEventId = lastEventIdOf(request, url.searchParams)
    const params = { ...asked, viewer, lastEventId, origin: originOf(request) }
    const { json, stream: kind, prefersStream } = negotiate(headers.accept)
    // The request of an EventSource, or of its polyfills.
    const events = method === 'GET' && !json ? eventSource : sse
    const format = kind === 'multipart' ? multipart : events
    const stream = { request, response, format, viewer, isResuming: lastEventId !== undefined, held }
    const prepared = await engine.prepare(params, left)
    if (left.aborted) return
    if (prepared.kind === 'invalid') {
      if (!json && kind === 'sse') return replyErrorsAsEvents(response, prepared.errors)
      if (prepared.isUnavailable) return replyErrors(response, 503, prepared.errors, RETRY)
      return replyResult(response, { errors: prepared.errors }, json)
    }
    if (prepared.kind === 'subscription') {
      if (!kind) return refuse(response, 406, NO_STREAM)
      return streams.respond({ ...stream, operation: prepared })
    }
    if (!json && !kind) return refuse(response, 406, NO_TYPE)
    if (prepared.kind === 'mutation' && method === 'GET') {
      return refuse(response, 405, 'A mutation must be sent with POST.', { allow: 'POST' })
    }
    if (kind && (!json || prefersStream)) {
      return streams.respond({ ...stream, operation: prepared })
    }
    await replyResult(response, await prepared.run(), json, viewer, held)
  }

  function refuseBody(response: ServerResponse, kind: Exclude<Body['kind'], 'text'>): void {
    switch (kind) {
      case 'unknown-encoding': {
        const message = `Send the body as it is, or with one content-encoding of: ${ENCODINGS}.`
        return refuse(response, 415, message, { 'accept-encoding': ENCODINGS })
      }
      case 'corrupt':
        return refuse(response, 400, 'The body is not what the header "content-encoding" says.', CLOSE)
      case 'too-large': {
        const { maxMessage } = limits
        const message = `The request is larger than this server accepts (--max-message, ${maxMessage} bytes).`
        const error = toClientError(new LimitExceeded('maxMessage', maxMessage, message))
        return replyErrors(response, 413, [error], CLOSE)
      }
    }
  }

  /**
   * Sends a result as JSON. A client that accepts `application/json` cannot tell this server's status from that of a proxy, so a
   * well-formed request gets 200 (https://graphql.github.io/graphql-over-http/draft/#sec-application-json); otherwise a result
   * without data gets 400. So does a document that is not trusted, whatever the client accepts: the operator refuses it.
   */
  async function replyResult(
    response: ServerResponse,
    result: ExecutionResult,
    type: JsonType | undefined,
    viewer?: Viewer,
    held?: Hold,
  ): Promise<void> {
    const isRefused = result.errors?.some(({ extensions }) => extensions.code === 'DOCUMENT_NOT_TRUSTED')
    const isRequestError = result.data === undefined && (type !== 'application/json' || isRefused)
    // A shared cache must not serve what one viewer may see to others, and an error may be over in a moment.
    const isLasting = viewer?.role === undefined && !result.errors
    const kept: Record<string, string> = isLasting ? {} : { 'cache-control': 'no-store' }
    const text = stringifyResult(result)
    held?.resize(textSize(text))
    const sent = { 'content-type': `${type ?? 'application/json'}; charset=utf-8`, ...kept }
    await replyPaced(response, isRequestError ? 400 : 200, sent, Buffer.from(text), stallTimeout)
  }
}

const CLOSE = { connection: 'close' }

const NO_TYPE =
  'The result has no form that you accept: accept "application/graphql-response+json" or "application/json".'
const NO_STREAM =
  'A subscription is a stream: accept "text/event-stream" or "multipart/mixed;subscriptionSpec=1.0".'

function isJson(header: string | undefined): boolean {
  const [media] = parseMediaTypes(header ?? '')
  const charset = media?.parameters.get('charset') ?? 'utf-8'
  return media?.type === 'application/json' && /^utf-?8$/i.test(charset)
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers?: Record<string, string>,
): void {
  replyErrors(response, status, [new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })], headers)
}

/**
 * An EventSource and the client of graphql-sse show nothing of a response other than 200, so errors of validation are sent as an
 * event (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode).
 */
function replyErrorsAsEvents(response: ServerResponse, errors: readonly GraphQLError[]): void {
  // urql emits the last result once more when the stream ends. Its persistedExchange handles an error once and would pass that copy
  // on to the application; `hasNext: false` prevents the copy.
  const isHash = errors.some(({ extensions }) => /^PERSISTED_QUERY_NOT_/.test(String(extensions.code)))
  const result: ExecutionResult & { hasNext?: boolean } = isHash ? { errors, hasNext: false } : { errors }
  response.writeHead(200, sse.headers)
  response.end(sse.opening + sse.last(stringifyResult(result), false))
}
