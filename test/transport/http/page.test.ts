import { createServer, type IncomingHttpHeaders, type Server, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPage } from '../../../src/transport/http/page.js'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
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
      let body = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
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
    expect(page.body).toContain('Enter a channel name and click Connect')
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self';/)
    expect(page.headers['content-security-policy']).not.toContain('unsafe')
    expect(page.headers['x-content-type-options']).toBe('nosniff')
    expect(page.headers['referrer-policy']).toBe('no-referrer')
    expect((await get('/live/index.html')).body).toBe(page.body)
  })

  it('serves every file that the page refers to, with its content type', async () => {
    const { body } = await get('/live/')
    const names = [...body.matchAll(/(?:href|src)="(assets\/[^"]+)"/g)].map(([, name]) => name ?? '')
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

  it('serves every module that another module imports', async () => {
    const seen = new Set<string>()
    const read = async (name: string): Promise<void> => {
      if (seen.has(name)) return
      seen.add(name)
      const { status, body } = await get(`/live/assets/${name}`)
      expect([name, status]).toEqual([name, 200])
      for (const [, next] of body.matchAll(/from '\.\/([^']+)'/g)) await read(next ?? '')
    }
    await read('page.js')
    expect([...seen]).toContain('table-view.js')
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
    '/live/assets/page.html',
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

describe('pretty', async () => {
  // The module is JavaScript for the browser and has no types.
  const url = new URL('../../../assets/pretty.js', import.meta.url).href
  const { pretty } = (await import(url)) as { pretty: (text: string) => string }

  it('formats as JSON.stringify does', () => {
    const value = { a: [], b: {}, c: [1, [2, { d: 'x, {"y": [1]}\\' }]], e: null, f: 'ü\n', g: '\u2028' }
    for (const one of [value, [value, value], [], {}, [[[]]], [{}]])
      expect(pretty(JSON.stringify(one))).toBe(JSON.stringify(one, null, 2))
  })

  it('keeps every digit and the order of keys', () => {
    expect(pretty('{"b":9007199254740993, "1":1.50,"b" : 1e400}')).toBe(
      '{\n  "b": 9007199254740993,\n  "1": 1.50,\n  "b": 1e400\n}',
    )
  })

  it('leaves text that is not a JSON object or array unchanged', () => {
    for (const text of ['', 'hello', '{"a":', '"a string"', '1.50', '<b>[1]</b>', '{1}'])
      expect(pretty(text)).toBe(text)
  })
})
