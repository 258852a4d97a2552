import type { IncomingMessage, ServerResponse } from 'node:http'
import { GraphQLError } from 'graphql'
import type { Viewer } from '../auth/viewer.js'
import type { ClientMemory, Hold } from '../lib/client-memory.js'
import { LimitExceeded } from '../lib/limits.js'
import { networkOf } from '../lib/networks.js'
import { sizeOf, textSize } from '../lib/size-of.js'
import { acceptedKinds } from './accept.js'
import { type Admit, isRefused } from './admission.js'
import { readBody } from './body.js'
import type { ClientAddresses } from './client-address.js'
import { onceClosed } from './closed.js'
import { type Engine, type Params, stringifyResult } from './engine.js'
import type { ClientErrors } from './errors.js'
import type { Graphiql } from './graphiql.js'
import { multipart } from './multipart.js'
import { replyPaced } from './paced-reply.js'
import { RETRY, replyErrors, replyText, statusOf } from './reply.js'
import { sse } from './sse.js'
import type { StreamResponses } from './stream-response.js'
import type { GraphqlYoga } from './yoga.js'

export interface GraphqlHttpOptions {
  readonly admit: Admit
  /** For Yoga's executions. */
  readonly contextFor: (viewer: Viewer) => object
  readonly engine: Engine
  readonly yoga: GraphqlYoga
  readonly streams: StreamResponses
  readonly toClientError: ClientErrors
  readonly graphiql: Graphiql | undefined
  readonly addresses: ClientAddresses
  readonly memory: ClientMemory
  /** Largest body in bytes. */
  readonly maxMessage: number
  /** Longest time in which nothing moves while an answer is sent, in ms. */
  readonly stallTimeout: number
}

/** `/graphql` over HTTP: a page for people, a stream for subscriptions, JSON by Yoga for everything else. Yoga sees only what has been
 * prepared: a subscription that slipped through to it would go on when its client is gone. */
export interface GraphqlHttp {
  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>
}

export function createGraphqlHttp({
  admit,
  contextFor,
  engine,
  yoga,
  streams,
  toClientError,
  graphiql,
  addresses,
  memory,
  maxMessage,
  stallTimeout,
}: GraphqlHttpOptions): GraphqlHttp {
  return {
    async handle(request, response, url) {
      const { method, headers } = request
      if (method !== 'GET' && method !== 'POST') {
        return replyText(response, 405, 'Use GET or POST.\n', { allow: 'GET, POST, OPTIONS' })
      }
      if (
        method === 'GET' &&
        graphiql &&
        !url.searchParams.has('query') &&
        headers.accept?.includes('text/html')
      ) {
        return graphiql.serve(request, response)
      }
      if (method === 'POST' && !/^application\/json\b/i.test(headers['content-type'] ?? '')) {
        // Other types can be sent by any page's form, without asking first.
        return refuse(
          response,
          415,
          'Send the request as JSON, with the header "content-type: application/json".',
        )
      }
      const viewer = await admit({ transport: 'http', request })
      if (response.destroyed) return // the client has left: nobody would ever unsubscribe for it
      if (isRefused(viewer)) return replyErrors(response, viewer.status, [viewer.error], viewer.headers)
      url.searchParams.delete('access_token') // from here on nobody needs it
      const held = memory.hold(0, networkOf(addresses.of(request)))
      onceClosed(request, response, () => held.release())
      try {
        await answer(request, response, url, viewer, held)
      } catch (error) {
        if (!(error instanceof LimitExceeded) || response.headersSent) throw error
        replyErrors(response, statusOf(error), [toClientError(error)], { ...RETRY, connection: 'close' })
      } finally {
        held.release()
      }
    },
  }

  /** @throws LimitExceeded if there is no memory for it */
  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    viewer: Viewer,
    held: Hold,
  ): Promise<void> {
    const { method, headers } = request
    const body = method === 'POST' ? await readBody(request, maxMessage, bytes => held.resize(2 * bytes)) : ''
    if (body === null) {
      const message = `The request is larger than this server takes (--max-message, ${maxMessage} bytes).`
      const error = toClientError(new LimitExceeded('maxMessage', maxMessage, message))
      return replyErrors(response, 413, [error], { connection: 'close' })
    }
    const asked = method === 'POST' ? paramsOfBody(body) : paramsOfQuery(url.searchParams)
    if (typeof asked === 'string') return refuse(response, 400, asked)
    held.resize(textSize(body) + sizeOf(asked))
    const params = { ...asked, viewer, lastEventId: [headers['last-event-id']].flat()[0] }
    const kinds = acceptedKinds(headers.accept)
    const left = new AbortController()
    response.once('close', () => left.abort())
    const prepared = await engine.prepare(params, left.signal)
    if (prepared.kind === 'invalid') {
      if (prepared.isUnavailable && kinds.includes('json')) return replyErrors(response, 503, prepared.errors)
      // Where only streams are asked for there is no place for Yoga's answer.
      if (!kinds.includes('json')) {
        return kinds[0] === 'sse'
          ? replyErrorsAsEvents(response, prepared.errors)
          : replyErrors(response, 400, prepared.errors)
      }
    } else {
      const format = kinds.includes('sse') || kinds.includes('multipart') ? pickStream(kinds) : undefined
      if (prepared.kind === 'subscription') {
        if (!format) {
          return refuse(
            response,
            406,
            'A subscription is a stream: accept "text/event-stream" or "multipart/mixed;subscriptionSpec=1.0".',
          )
        }
        return streams.respond(request, response, prepared, format, viewer, held)
      }
      if (format && !kinds.includes('json')) {
        if (method === 'GET' && prepared.kind === 'mutation') {
          return refuse(response, 405, 'A mutation must be sent with POST.', { allow: 'POST' })
        }
        return streams.respond(request, response, prepared, format, viewer, held)
      }
    }
    await answerByYoga(request, response, url, body, viewer, held)
  }

  async function answerByYoga(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    body: string,
    viewer: Viewer,
    held: Hold,
  ): Promise<void> {
    const { method = 'GET', headers } = request
    const init = {
      method,
      headers: {
        accept: headers.accept ?? '*/*',
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      },
      ...(method === 'POST' ? { body } : {}),
    }
    const answer = await yoga.fetch(url.href, init, contextFor(viewer))
    // What one viewer may see is not for a cache that serves others.
    const kept: Record<string, string> = viewer.role === undefined ? {} : { 'cache-control': 'no-store' }
    const text = await answer.text()
    held.resize(textSize(text))
    const answered = { ...Object.fromEntries(answer.headers), ...kept }
    await replyPaced(response, answer.status, answered, Buffer.from(text), stallTimeout)
  }
}

function pickStream(kinds: ReturnType<typeof acceptedKinds>) {
  return kinds.find(kind => kind !== 'json') === 'multipart' ? multipart : sse
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
 * An EventSource, and graphql-sse's client, show nothing of an answer other than 200, so that errors of validation must come as
 * an event (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode).
 */
function replyErrorsAsEvents(response: ServerResponse, errors: readonly GraphQLError[]): void {
  response.writeHead(200, sse.headers)
  response.end(sse.opening + sse.next(stringifyResult({ errors })) + sse.completion)
}

type Asked = Omit<Params, 'viewer'>

/** What a body asks for, or a sentence that says why it is no request. */
function paramsOfBody(body: string): Asked | string {
  try {
    return asParams(JSON.parse(body))
  } catch {
    return 'The body is not JSON. Send {"query": "…"}.'
  }
}

function paramsOfQuery(query: URLSearchParams): Asked | string {
  const params: Record<string, unknown> = Object.fromEntries(query)
  for (const name of ['variables', 'extensions']) {
    const text = query.get(name)
    try {
      params[name] = text ? JSON.parse(text) : undefined
    } catch {
      return `The parameter "${name}" is not JSON.`
    }
  }
  return asParams(params)
}

function asParams(value: unknown): Asked | string {
  if (Array.isArray(value)) return 'Send one operation for each request: there is no batching.'
  if (!isRecord(value)) return 'The body is not an object. Send {"query": "…"}.'
  const { query, operationName, variables, extensions } = value
  if (typeof query !== 'string')
    return 'The request has no "query", or it is not a text. Send {"query": "…"}.'
  if (operationName != null && typeof operationName !== 'string') return '"operationName" is not a text.'
  if (variables != null && !isRecord(variables)) return '"variables" is not an object.'
  if (extensions != null && !isRecord(extensions)) return '"extensions" is not an object.'
  return {
    query,
    operationName: operationName ?? undefined,
    variables: variables ?? undefined,
    extensions: extensions ?? undefined,
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
