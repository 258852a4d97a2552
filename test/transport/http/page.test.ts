import { createServer, type IncomingHttpHeaders, type Server, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPage } from '../../../src/transport/http/page.js'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly bytes: Buffer
}

let server: Server

beforeAll(async () => {
  const page = createPage({ basePath: '/live/' })
  server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname.slice('/live'.length) || '/'
    if (!page.handle(request, response, path)) response.writeHead(418).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})

afterAll(() => new Promise(resolve => server.close(resolve)))

// Uses node:http, because fetch would normalise the path before sending it.
function get(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { port } = server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const request = send({ port, path, host: '127.0.0.1', agent: false, ...options }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => {
        const bytes = Buffer.concat(chunks)
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: bytes.toString(),
          bytes,
        })
      })
    })
    request.on('error', reject)
    request.end()
  })
}

describe('the page handler', () => {
  it('serves the page at / and /index.html with a policy that allows nothing from other origins', async () => {
    const page = await get('/live/')
    expect(page.status).toBe(200)
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(page.body).toContain('<title>listenql</title>')
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self';/)
    expect(page.headers['content-security-policy']).not.toContain('unsafe')
    expect(page.headers['x-content-type-options']).toBe('nosniff')
    expect(page.headers['referrer-policy']).toBe('no-referrer')
    expect((await get('/live/index.html')).body).toBe(page.body)
  })

  it('serves every file that the page refers to, with its content type', async () => {
    const { body } = await get('/live/')
    const names = [...body.matchAll(/(?:href|src)="\.\/(assets\/[^"]+)"/g)].map(([, name]) => name ?? '')
    expect(names.length).toBeGreaterThanOrEqual(3)
    const types: Record<string, string> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }
    for (const name of names) {
      const { status, headers } = await get(`/live/${name}`)
      expect([name, status, headers['content-type']]).toEqual([
        name,
        200,
        `${types[name.split('.')[1] ?? '']}; charset=utf-8`,
      ])
    }
  })

  it('compresses a file for a client that accepts it, under a tag of its own', async () => {
    const headers = { 'accept-encoding': 'br, gzip' }
    const zipped = await get('/live/assets/page.js', { headers })
    const plain = await get('/live/assets/page.js')
    expect(zipped.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(plain.headers['content-encoding']).toBe(undefined)
    expect(gunzipSync(zipped.bytes).toString()).toBe(plain.body)
    expect(zipped.headers.etag).not.toBe(plain.headers.etag)
    const again = { ...headers, 'if-none-match': zipped.headers.etag ?? '' }
    expect((await get('/live/assets/page.js', { headers: again })).status).toBe(304)
  })

  it('is small enough to be there at once', async () => {
    const sizes = await Promise.all(
      ['page.js', 'page.css'].map(async name => {
        const { bytes } = await get(`/live/assets/${name}`, { headers: { 'accept-encoding': 'gzip' } })
        return bytes.length
      }),
    )
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(120_000)
  })

  it('answers 304 to the ETag that it sent, also in a list or weak', async () => {
    const { headers } = await get('/live/assets/page.js')
    const etag = headers.etag ?? ''
    expect(etag).toMatch(/^"[\w-]+"$/)
    expect(headers['cache-control']).toBe('no-cache')
    for (const known of [etag, `"other", W/${etag}`, '*']) {
      const again = await get('/live/assets/page.js', { headers: { 'if-none-match': known } })
      expect([known, again.status, again.body, again.headers.etag]).toEqual([known, 304, '', etag])
    }
    expect((await get('/live/assets/page.js', { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  it('answers HEAD without a body and other methods with 405', async () => {
    const head = await get('/live/', { method: 'HEAD' })
    expect([head.status, head.body]).toEqual([200, ''])
    expect(Number(head.headers['content-length'])).toBeGreaterThan(0)
    const post = await get('/live/', { method: 'POST' })
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD'])
  })

  it.each([
    '/live/assets/index.html',
    '/live/assets/',
    '/live/assets/../package.json',
    '/live/assets/%2e%2e/package.json',
    '/live/assets/__proto__',
    '/live/package.json',
    '/live/graphql',
  ])('leaves %s to other handlers', async path => {
    expect((await get(path)).status).toBe(418)
  })

  it('redirects a path without the final slash, so that relative links work', async () => {
    const { status, headers } = await get('/live?x=1')
    expect([status, headers.location]).toEqual([308, '/live/'])
  })
})
