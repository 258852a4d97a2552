import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { varyBy } from './cors.js'
import { packageFolder } from './package-folder.js'

export interface PageOptions {
  /** The path under which the server is mounted, such as `/live/`; `/` if it has the whole host. */
  readonly basePath: string
}

/** The page at `/` and its files at `/assets/<name>`: the application in `page/`, as `npm run build` leaves it in `dist/page`. */
export interface Page {
  /**
   * Answers GET and HEAD for the page's own paths (405 for other methods) and returns true; false, untouched, for any other path.
   * `path` is the path of the request without the base path and the query; it is only ever looked up in a map.
   */
  handle(request: IncomingMessage, response: ServerResponse, path: string): boolean
}

interface Asset {
  readonly type: string
  readonly plain: Encoded
  readonly zipped: Encoded
}

/** The encodings of a file have tags of their own (https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.3). */
interface Encoded {
  readonly body: Buffer
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
 * Reads the files of the page once. No path of a request reaches the file system. In a checkout that has not been built, `/` says so.
 *
 * @throws Error if there is no package.json above this file: the package is incomplete
 */
export function createPage({ basePath }: PageOptions): Page {
  const files = readFiles(join(packageFolder(), 'dist/page'))
  const page = files.get('/')
  const base = `/${basePath.replace(/^\/+|\/+$/g, '')}`

  return {
    handle(request, response, path) {
      const asset = files.get(path)
      if (page === undefined && path === '/') return sayMissing(response)
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

function readFiles(folder: string): ReadonlyMap<string, Asset> {
  const files = new Map<string, Asset>()
  if (!existsSync(join(folder, 'index.html'))) return files
  for (const name of readdirSync(join(folder, 'assets'))) {
    const type = TYPES[extname(name)]
    if (type !== undefined) files.set(`/assets/${name}`, readAsset(join(folder, 'assets', name), type))
  }
  const page = readAsset(join(folder, 'index.html'), TYPES['.html'] ?? '')
  return files.set('/', page).set('/index.html', page)
}

function sayMissing(response: ServerResponse): true {
  response.writeHead(503, { 'content-type': 'text/plain; charset=utf-8' })
  response.end('The page has not been built: npm run build\n')
  return true
}

function send(request: IncomingMessage, response: ServerResponse, { type, plain, zipped }: Asset): void {
  const isZipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
  const { body, etag } = isZipped ? zipped : plain
  varyBy(response, 'accept-encoding')
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
  if (isZipped) response.setHeader('content-encoding', 'gzip')
  response.writeHead(200, { 'content-type': type, 'content-length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** If-None-Match compares weakly: `W/"a"` is `"a"` (https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2). */
function isKnown(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some(part => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag)
}

function readAsset(file: string, type: string): Asset {
  const plain = readFileSync(file)
  return { type, plain: encoded(plain), zipped: encoded(gzipSync(plain)) }
}

const encoded = (body: Buffer): Encoded => ({
  body,
  etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
})

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').replace(/\?.*$/s, '')
}
