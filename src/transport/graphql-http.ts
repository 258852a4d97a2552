import type { IncomingMessage, ServerResponse } from 'node:http'
import { GraphQLError } from 'graphql'
import { acceptedKinds } from './accept.js'
import { readBody } from './body.js'
import type { Engine, Params } from './engine.js'
import type { Graphiql } from './graphiql.js'
import { multipart } from './multipart.js'
import { replyErrors, replyText } from './reply.js'
import { sse } from './sse.js'
import type { StreamResponses } from './stream-response.js'
import type { GraphqlYoga } from './yoga.js'

export interface GraphqlHttpOptions {
  readonly engine: Engine
  readonly yoga: GraphqlYoga
  readonly streams: StreamResponses
  readonly graphiql: Graphiql | undefined
  /** Largest body in bytes. */
  readonly maxMessage: number
}

/** `/graphql` over HTTP: a page for people, a stream for subscriptions, JSON by Yoga for everything else. */
export interface GraphqlHttp {
  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>
}

export function createGraphqlHttp({
  engine,
  yoga,
  streams,
  graphiql,
  maxMessage,
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
      const body = method === 'POST' ? await readBody(request, maxMessage) : ''
      if (body === null) {
        return refuse(
          response,
          413,
          `The request is larger than this server takes (--max-message, ${maxMessage} bytes).`,
          {
            connection: 'close',
          },
        )
      }
      const params = method === 'POST' ? paramsOfBody(body) : paramsOfQuery(url.searchParams)
      const kinds = acceptedKinds(headers.accept)
      if (params) {
        const prepared = engine.prepare(params)
        if (prepared.kind === 'invalid') {
          // What only streams are asked for would have no place for Yoga's answer.
          if (!kinds.includes('json')) return replyErrors(response, 400, prepared.errors)
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
            return streams.respond(request, response, prepared, format)
          }
          if (format && !kinds.includes('json')) {
            if (method === 'GET' && prepared.kind === 'mutation') {
              return refuse(response, 405, 'A mutation must be sent with POST.', { allow: 'POST' })
            }
            return streams.respond(request, response, prepared, format)
          }
        }
      }
      await answerByYoga(request, response, url, body)
    },
  }

  async function answerByYoga(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    body: string,
  ): Promise<void> {
    const { method = 'GET', headers } = request
    const answer = await yoga.fetch(url.href, {
      method,
      headers: {
        accept: headers.accept ?? '*/*',
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      },
      ...(method === 'POST' ? { body } : {}),
    })
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    response.end(await answer.text())
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

/** What a body asks for; null if it is not a request at all, which Yoga then says. */
function paramsOfBody(body: string): Params | null {
  try {
    return asParams(JSON.parse(body))
  } catch {
    return null
  }
}

function paramsOfQuery(query: URLSearchParams): Params | null {
  try {
    const json = (name: string) => (query.get(name) ? JSON.parse(query.get(name) as string) : undefined)
    return asParams({
      query: query.get('query') ?? undefined,
      operationName: query.get('operationName') ?? undefined,
      variables: json('variables'),
      extensions: json('extensions'),
    })
  } catch {
    return null
  }
}

function asParams(value: unknown): Params | null {
  if (!isRecord(value) || typeof value.query !== 'string') return null
  const { query, operationName, variables, extensions } = value
  if (operationName != null && typeof operationName !== 'string') return null
  if (variables != null && !isRecord(variables)) return null
  if (extensions != null && !isRecord(extensions)) return null
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
