import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { assetsFolder } from './assets-folder.js'

export interface PageOptions {
  /** The path under which the server is mounted, such as `/live/`; `/` if it has the whole host. */
  readonly basePath: string
}

/** The demo page at `/` and its files at `/assets/<name>`. */
export interface Page {
  /**
   * Answers GET and HEAD for the page's own paths (405 for other methods) and returns true; false, untouched, for any other path.
   * `path` is the path of the request without the base path and the query; it is only ever looked up in a map.
   */
  handle(request: IncomingMessage, response: ServerResponse, path: string): boolean
}

interface Asset {
  readonly body: Buffer
  readonly type: string
  readonly etag: string
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
}

// 'self' in connect-src covers ws: and wss: of the page's own host (https://www.w3.org/TR/CSP3/#match-url-to-source-expression).
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * Reads the files of `assets/` once. No path of a request reaches the file system.
 *
 * @throws Error if the folder cannot be read: the package is incomplete
 */
export function createPage({ basePath }: PageOptions): Page {
  const folder = assetsFolder()
  const files = new Map<string, Asset>()
  for (const name of readdirSync(folder)) {
    const type = TYPES[extname(name)]
    if (type !== undefined && name !== 'page.html')
      files.set(`/assets/${name}`, readAsset(join(folder, name), type))
  }
  const page = readAsset(join(folder, 'page.html'), TYPES['.html'] ?? '')
  files.set('/', page)
  files.set('/index.html', page)
  const base = `/${basePath.replace(/^\/+|\/+$/g, '')}`

  return {
    handle(request, response, path) {
      const asset = files.get(path)
      if (asset === undefined) return false
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD', 'content-type': 'text/plain; charset=utf-8' })
        response.end('Use GET here.\n')
      } else if (asset === page && base !== '/' && pathOf(request) === base) {
        // The page's links are relative: without the trailing slash they would miss the base path.
        response.writeHead(308, { location: `${base}/` }).end()
      } else send(request, response, asset)
      return true
    },
  }
}

function send(request: IncomingMessage, response: ServerResponse, { body, type, etag }: Asset): void {
  response.setHeaders(
    new Map([
      ['etag', etag],
      ['cache-control', 'no-cache'],
      ['content-security-policy', POLICY],
      ['x-content-type-options', 'nosniff'],
      ['referrer-policy', 'no-referrer'],
    ]),
  )
  if (isKnown(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end()
    return
  }
  response.writeHead(200, { 'content-type': type, 'content-length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** If-None-Match compares weakly: `W/"a"` is `"a"` (https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2). */
function isKnown(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some(part => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag)
}

function readAsset(file: string, type: string): Asset {
  const body = readFileSync(file)
  return { body, type, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').replace(/\?.*$/s, '')
}
