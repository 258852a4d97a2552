import type { IncomingMessage } from 'node:http'
import { badToken } from './errors.js'

/** What a client presents to authenticate, on any transport. */
export interface Handshake {
  /** How the client is connected: `http` is queries, mutations, SSE and multipart, `listen` is `/listen/{channel}`. */
  readonly transport: 'http' | 'graphql-ws' | 'listen'
  /** For `graphql-ws` and `listen` the request for the upgrade. */
  readonly request: IncomingMessage
  /** What the client sent with `connection_init`; only for `graphql-ws`. */
  readonly connectionParams?: Readonly<Record<string, unknown>> | undefined
}

export interface CredentialsOptions {
  /** Name of the cookie that may hold the token; undefined: none. */
  readonly cookie: string | undefined
  /** Whether cookies count that the browser sends with a request of this page. */
  readonly trustsCookiesOf: (request: IncomingMessage) => boolean
}

/**
 * The token of a handshake: from `connection_init`, else from the header Authorization, else from `?access_token=` (only GET,
 * where a browser can send no header), else from the cookie.
 * @returns undefined if there is none
 * @throws ListenqlError UNAUTHENTICATED if Authorization holds something else
 */
export function tokenOf(
  { request, connectionParams }: Handshake,
  { cookie, trustsCookiesOf }: CredentialsOptions,
): string | undefined {
  const ofParams = connectionParams && ofConnectionParams(connectionParams)
  if (ofParams !== undefined) return bearer(ofParams, true)
  const { authorization } = request.headers
  const ofHeader = authorization === undefined ? undefined : bearer(authorization, false)
  if (ofHeader !== undefined) return ofHeader
  const ofQuery = request.method === 'GET' ? accessTokenOf(request.url ?? '') : undefined
  if (ofQuery !== undefined) return ofQuery
  if (cookie === undefined || !trustsCookiesOf(request)) return undefined
  return cookieOf(request.headers.cookie ?? '', cookie)
}

/** As clients of graphql-ws send it: `{ Authorization }`, `{ authorization }` or `{ headers: { Authorization } }`. */
function ofConnectionParams(params: Readonly<Record<string, unknown>>): unknown {
  const { headers } = params
  const places = [params, typeof headers === 'object' && headers !== null ? headers : {}]
  for (const place of places) {
    for (const name of ['Authorization', 'authorization']) {
      const value: unknown = Object.hasOwn(place, name) ? Reflect.get(place, name) : undefined
      if (value !== undefined && value !== null && value !== '') return value
    }
  }
  return undefined
}

/** https://www.rfc-editor.org/rfc/rfc6750#section-2.1. A header with another scheme may be meant for a proxy. */
function bearer(value: unknown, isOurs: boolean): string | undefined {
  if (typeof value !== 'string') throw badToken('Authorization is not a text')
  const text = value.trim()
  const space = text.search(/\s/)
  const scheme = space < 0 ? text : text.slice(0, space)
  const token = space < 0 ? '' : text.slice(space).trim()
  if (scheme.toLowerCase() === 'bearer') {
    if (token === '') throw badToken('Authorization holds no token')
    return token
  }
  if (!isOurs) return undefined
  if (token !== '') throw badToken('Authorization is of another scheme')
  return scheme // many clients leave out the word Bearer
}

function accessTokenOf(url: string): string | undefined {
  const at = url.indexOf('?')
  return (at < 0 ? null : new URLSearchParams(url.slice(at)).get('access_token')) || undefined
}

function cookieOf(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || pair.slice(0, at).trim() !== name) continue
    return (
      pair
        .slice(at + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1') || undefined
    )
  }
  return undefined
}
