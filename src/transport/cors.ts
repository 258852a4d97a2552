import type { IncomingMessage, ServerResponse } from 'node:http'

/** Tells a browser that the page with this (allowed) origin may read the answer (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, withCookies: boolean): void {
  response.setHeader('vary', 'origin')
  if (request.headers.origin) response.setHeader('access-control-allow-origin', request.headers.origin)
  if (withCookies) response.setHeader('access-control-allow-credentials', 'true')
}

/** Answers the question that a browser asks before a request with JSON in it. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': request.headers['access-control-request-headers'] ?? 'content-type',
    'access-control-max-age': '600',
  })
  response.end()
}
