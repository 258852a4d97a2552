import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { GraphQLError } from 'graphql'
import { formatError } from '../../graphql/result.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { negotiate } from './accept.js'

/** A refused request: the status of HTTP, and the message for the client. */
export interface Refusal {
  readonly status: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
  /** The limit that was exceeded, if that is the reason. */
  readonly excess?: LimitExceeded
}

export function replyText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(text)
}

/** JSON about the server itself, which nothing may cache. */
export function replyJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  })
  response.end(`${JSON.stringify(body)}\n`)
}

/** Errors as JSON, with the media type of JSON that the client accepts; `application/json` if it accepts none. */
export function replyErrors(
  response: ServerResponse,
  status: number,
  errors: readonly GraphQLError[],
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = negotiate(response.req.headers.accept).json ?? 'application/json'
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, ...headers })
  response.end(JSON.stringify({ errors: errors.map(formatError) }))
}

/** After how many seconds the client may try again. */
export const RETRY = { 'retry-after': '1' }

/** The status for an exceeded limit: one of this client, or one of the server. */
export function statusOf(error: unknown): 429 | 503 {
  return error instanceof LimitExceeded && OF_THE_SERVER.has(error.limit) ? 503 : 429
}

const OF_THE_SERVER: ReadonlySet<string> = new Set(['maxConnections', 'maxClientMemory'])

/** Refuses an upgrade. The socket is bare: there is no response object for it. */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  // The peer may never close its half, and no HTTP timeout applies any more.
  socket.once('finish', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
      'connection: close\r\n' +
      Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('') +
      'content-type: text/plain; charset=utf-8\r\n' +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
