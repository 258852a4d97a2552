import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { varyBy } from './cors.js'
import { renderGraphiqlHtml } from './graphiql-html.js'

const compress = promisify(gzip)

/**
 * The document contains everything: scripts, styles, fonts as data: and workers as blob: URLs. Only the scripts in it may run,
 * by their hashes (https://www.w3.org/TR/CSP3/#framework-directive-source-list).
 */
function policyOf(html: string): string {
  const scripts = [...html.matchAll(/<script\b[^>]*>(.*?)<\/script\s*>/gis)].map(([, text = '']) => text)
  const hashes = scripts.map(text => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
  return [
    "default-src 'none'",
    `script-src ${hashes.join(' ')} blob:`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    'font-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')
}

interface Rendered {
  readonly html: Buffer
  readonly zipped: Buffer
  readonly etag: string
  readonly policy: string
}

/** GraphiQL from this package: no request leaves the machine. With `?transport=ws` it subscribes over WebSocket instead of SSE. */
export interface Graphiql {
  serve(request: IncomingMessage, response: ServerResponse): Promise<void>
}

/** @param example the document that a user without one of their own begins with */
export function createGraphiql(example: () => string): Graphiql {
  const pages = new Map<string, { readonly query: string; readonly rendered: Promise<Rendered> }>()

  // Nine megabytes: rendered, hashed and compressed at the first request, then kept until the example changes.
  async function render(subscriptionsProtocol: 'SSE' | 'WS', defaultQuery: string): Promise<Rendered> {
    const text = await renderGraphiqlHtml({ subscriptionsProtocol, defaultQuery })
    const html = Buffer.from(text)
    return {
      policy: policyOf(text),
      html,
      zipped: await compress(html, { level: 6 }),
      etag: `"${createHash('sha256').update(html).digest('base64url')}"`,
    }
  }

  return {
    async serve(request, response) {
      const protocol =
        new URL(request.url ?? '/', 'http://localhost').searchParams.get('transport') === 'ws' ? 'WS' : 'SSE'
      const query = example()
      let page = pages.get(protocol)
      if (page?.query !== query) {
        page = { query, rendered: render(protocol, query) }
        pages.set(protocol, page)
      }
      const { html, zipped, etag, policy } = await page.rendered
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policy,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
        etag,
      }
      varyBy(response, 'accept-encoding')
      if (request.headers['if-none-match'] === etag) {
        response.writeHead(304, headers).end()
      } else if (/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) {
        response.writeHead(200, { ...headers, 'content-encoding': 'gzip' }).end(zipped)
      } else {
        response.writeHead(200, headers).end(html)
      }
    },
  }
}
