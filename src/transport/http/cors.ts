import type { IncomingMessage, ServerResponse } from 'node:http'

/** Adds request headers that the response depends on to `vary` (https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5). */
export function varyBy(response: ServerResponse, ...headers: string[]): void {
  const known = [response.getHeader('vary') ?? []].flat().map(String)
  response.setHeader(
    'vary',
    [...new Set([...known.flatMap(text => text.split(', ')), ...headers])].join(', '),
  )
}

/**
 * Lets the page with this (allowed) origin read the response (https://fetch.spec.whatwg.org/#http-cors-protocol).
 * @param withCredentials whether the page may send cookies and other credentials, for this server or for a proxy in front of it
 */
export function allowOrigin(
  request: IncomingMessage,
  response: ServerResponse,
  withCredentials: boolean,
): void {
  const { origin } = request.headers
  if (!origin) return
  response.setHeader('access-control-allow-origin', origin)
  if (withCredentials) response.setHeader('access-control-allow-credentials', 'true')
  response.setHeader('access-control-expose-headers', 'retry-after, www-authenticate')
}

/** Answers the preflight request that a browser sends before a request with JSON. */
export function answerPreflight(
  request: IncomingMessage,
  response: ServerResponse,
  headers: Readonly<Record<string, string>> = {},
): void {
  varyBy(response, 'access-control-request-method', 'access-control-request-headers')
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': request.headers['access-control-request-headers'] ?? 'content-type',
    'access-control-max-age': '600',
    ...headers,
  })
  response.end()
}
