import { request as httpRequest } from 'node:http'
import { type Client, createClient as createWsClient, type ExecutionResult } from 'graphql-ws'
import { WebSocket } from 'ws'
import { Inbox } from './inbox.js'

/** A subscription as a test sees it, with the same interface for every transport. */
export interface TestSubscription {
  readonly results: Inbox<Record<string, unknown>>
  /** Resolves with the way the stream ended: `complete`, a close code, or `dropped`. */
  readonly ended: Promise<string>
  /** The last position that the server sent, in the way of the transport. */
  readonly position?: () => string | undefined
  close(): void | Promise<void>
}

/** The start position of a subscription, and the token of its viewer. */
export interface Start {
  readonly after?: string
  /** Only for SSE. */
  readonly lastEventId?: string
  /** Sent as the usual client of each transport sends it. */
  readonly token?: string | undefined
  /** Ask for the ends of transactions. */
  readonly transactionEnds?: true
}

/**
 * Subscribes, and resolves once the server has accepted the subscription. Rejects with status and text if the server refuses
 * it.
 */
export type Subscribe = (
  url: string,
  query: string,
  variables?: Record<string, unknown>,
  start?: Start,
) => Promise<TestSubscription>

function extensionsOf({ after, transactionEnds }: Start) {
  const extensions = { ...(after !== undefined && { after }), ...(transactionEnds && { transactionEnds }) }
  return Object.keys(extensions).length > 0 ? { extensions } : {}
}

function cursorOf(result: unknown): string | undefined {
  return (result as { extensions?: { cursor?: string } }).extensions?.cursor
}

function deferred<T>() {
  let resolve = (_value: T) => {}
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}

/** Resolves with the way the stream of these results ended. */
function ending(results: { end: string | undefined }) {
  const ended = deferred<string>()
  return {
    ...ended,
    resolve(how: string) {
      results.end ??= how
      ended.resolve(how)
    },
  }
}

/** The client of graphql-ws. The subscription is accepted with the ping that names it. */
export const overGraphqlWs: Subscribe = async (url, query, variables = {}, start = {}) => {
  let position: string | undefined
  const results = new Inbox<Record<string, unknown>>()
  const ended = ending(results)
  const accepted = deferred<void>()
  const client: Client = createWsClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...(start.token !== undefined && { connectionParams: { Authorization: `Bearer ${start.token}` } }),
    on: {
      ping: (received, payload) => {
        const cursors = Object.values(payload?.cursors ?? {})
        if (!received || cursors.length === 0) return // A keep-alive ping: the subscription is not accepted yet.
        position = cursors[0] ?? position
        accepted.resolve()
      },
      closed: event => {
        ended.resolve(String((event as { code?: number }).code))
        accepted.resolve()
      },
    },
  })
  client.subscribe(
    { query, variables, ...extensionsOf(start) },
    {
      next: value => {
        position = cursorOf(value) ?? position
        results.push(value as ExecutionResult as Record<string, unknown>)
        accepted.resolve() // A refusal arrives as a result.
      },
      error: error => {
        if (Array.isArray(error)) results.push({ errors: error.map(e => e.toJSON?.() ?? e) })
        accepted.resolve()
      },
      complete: () => ended.resolve('complete'),
    },
  )
  await accepted.promise
  return { results, ended: ended.promise, position: () => position, close: () => void client.dispose() }
}

/** A minimal HTTP client for Server-Sent Events. The subscription is accepted with the headers of the response. */
export function overSse(method: 'GET' | 'POST'): Subscribe {
  return (url, query, variables = {}, start = {}) =>
    stream(
      { url, method, accept: 'text/event-stream', delimiter: '\n\n', query, variables, start },
      (text, results, end, reached) => {
        let rest = text
        for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
          const block = rest.slice(0, at).split('\n')
          rest = rest.slice(at + 2)
          const event = block.find(line => line.startsWith('event: '))?.slice(7)
          const data = block
            .find(line => line.startsWith('data:'))
            ?.slice(5)
            .trim()
          const id = block
            .find(line => line.startsWith('id:'))
            ?.slice(3)
            .trim()
          if (id !== undefined) reached(id)
          if (event === 'next') results.push(JSON.parse(data ?? ''))
          if (event === 'complete') end('complete')
        }
        return rest
      },
    )
}

const DELIMITER = '\r\n--graphql'

/** A minimal HTTP client for Apollo's multipart protocol. */
export const overMultipart: Subscribe = (url, query, variables = {}, start = {}) =>
  stream(
    {
      url,
      method: 'POST',
      accept: 'multipart/mixed;subscriptionSpec=1.0, application/json',
      delimiter: DELIMITER,
      query,
      variables,
      start,
    },
    (text, results, end, reached) => {
      let rest = text
      for (let at = rest.indexOf(DELIMITER); at >= 0; at = rest.indexOf(DELIMITER)) {
        const json = rest.slice(0, at).split('\r\n\r\n')[1]
        rest = rest.slice(at + DELIMITER.length)
        const message = json === undefined ? {} : JSON.parse(json)
        if (message.payload) {
          reached(cursorOf(message.payload))
          results.push(message.payload)
        }
        if (rest.startsWith('--')) end('complete')
      }
      return rest
    },
  )

interface StreamRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly accept: string
  /** What ends an event or part. */
  readonly delimiter: string
  readonly query: string
  readonly variables: Record<string, unknown>
  readonly start: Start
}

function stream(
  { url, method, accept, delimiter, query, variables, start }: StreamRequest,
  parse: (
    text: string,
    results: Inbox<Record<string, unknown>>,
    end: (how: string) => void,
    reached: (position: string | undefined) => void,
  ) => string,
): Promise<TestSubscription> {
  let position: string | undefined
  const reached = (at: string | undefined) => {
    position = at ?? position
  }
  const results = new Inbox<Record<string, unknown>>()
  const ended = ending(results)
  const search = new URLSearchParams({ query, variables: JSON.stringify(variables) })
  const { extensions } = extensionsOf(start)
  if (extensions) search.set('extensions', JSON.stringify(extensions))
  const target = method === 'GET' ? `${url}/graphql?${search}` : `${url}/graphql`
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      target,
      {
        method,
        headers: {
          accept,
          'content-type': 'application/json',
          ...(start.lastEventId === undefined ? {} : { 'last-event-id': start.lastEventId }),
          ...(start.token === undefined ? {} : { authorization: `Bearer ${start.token}` }),
        },
        agent: false,
      },
      response => {
        let rest = ''
        let end = ''
        response.setEncoding('utf8')
        if (response.statusCode !== 200) {
          response.on('data', chunk => {
            rest += chunk
          })
          response.on('end', () => reject(new Error(`${response.statusCode} ${rest}`)))
          return
        }
        response.on('data', chunk => {
          rest += chunk
          // Scanned once only: an event of megabytes arrives in hundreds of chunks.
          const recent: string = end + chunk
          end = recent.slice(1 - delimiter.length)
          if (recent.includes(delimiter)) rest = parse(rest, results, ended.resolve, reached)
        })
        response.on('error', () => ended.resolve('dropped'))
        response.on('close', () => ended.resolve('dropped'))
        resolve({
          results,
          ended: ended.promise,
          position: () => position,
          close: () => void request.destroy(),
        })
      },
    )
    request.on('error', error => {
      ended.resolve('dropped')
      reject(error)
    })
    request.end(method === 'POST' ? JSON.stringify({ query, variables, ...extensionsOf(start) }) : undefined)
  })
}

/** `/listen/{channel}`: payloads become results `{ payload }`. */
export async function overListen(url: string, channel: string): Promise<TestSubscription> {
  const results = new Inbox<Record<string, unknown>>()
  const webSocket = new WebSocket(`${url.replace('http', 'ws')}/listen/${encodeURIComponent(channel)}`)
  const ended = ending(results)
  webSocket.on('message', data => results.push({ payload: String(data) }))
  webSocket.on('close', code => ended.resolve(String(code)))
  await new Promise<void>((resolve, reject) => {
    webSocket.once('open', resolve)
    webSocket.once('error', reject)
  })
  return { results, ended: ended.promise, close: () => webSocket.close() }
}

const CHANNEL = 'subscription ($name: String!) { channel(name: $name) { channel payload gap } }'

/** Every transport that carries GraphQL. */
export const GRAPHQL_TRANSPORTS: Readonly<Record<string, Subscribe>> = {
  'graphql-ws': overGraphqlWs,
  'SSE GET': overSse('GET'),
  'SSE POST': overSse('POST'),
  multipart: overMultipart,
}

/** Every transport as a way to listen to a channel; results are normalised to `{ payload, gap? }`. */
export const TRANSPORTS = {
  'graphql-ws': (url: string, name: string) => overGraphqlWs(url, CHANNEL, { name }),
  'SSE GET': (url: string, name: string) => overSse('GET')(url, CHANNEL, { name }),
  'SSE POST': (url: string, name: string) => overSse('POST')(url, CHANNEL, { name }),
  multipart: (url: string, name: string) => overMultipart(url, CHANNEL, { name }),
  '/listen': overListen,
} satisfies Record<string, (url: string, channel: string) => Promise<TestSubscription>>

/** Returns the payload of a result of any transport. */
export function payloadOf(result: Record<string, unknown>): unknown {
  if ('data' in result) return (result.data as { channel: { payload: unknown } } | null)?.channel.payload
  return result.payload
}
