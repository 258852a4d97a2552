import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../../src/index.js'
import { createOrigins } from '../../../src/transport/limits/origins.js'
import { createLog, type TestLog } from '../../support/log.js'
import {
  channelQuery,
  openConnection,
  post,
  type RawAnswer,
  type RawRequest,
  send,
} from '../../support/raw.js'
import { SECRET, sign } from '../../support/tokens.js'
import { createRoles } from '../../support/viewer-roles.js'

// https://fetch.spec.whatwg.org/#http-cors-protocol

const NAMED = 'https://app.example.com'
const FOREIGN = 'https://evil.example'

let log: TestLog
let server: ListenqlServer | undefined

beforeAll(async () => {
  log = await createLog()
})
afterEach(async () => {
  await server?.close()
  server = undefined
})
afterAll(() => log?.close())

async function start(options: ServerOptions = {}): Promise<string> {
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    corsOrigins: [NAMED],
    ...options,
  })
  return server.url
}

const allowed = ({ headers }: RawAnswer) => headers['access-control-allow-origin']
const credentials = ({ headers }: RawAnswer) => headers['access-control-allow-credentials']
const varies = ({ headers }: RawAnswer) => (headers.vary ?? '').split(/, */).filter(Boolean).sort()
const preflight = (url: string, origin: string, path = '/graphql') =>
  send(url, {
    method: 'OPTIONS',
    path,
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    },
  })

describe('credentials', () => {
  const single = { query: '{ channels }' }

  it.each<[string, ServerOptions]>([
    ['with the default settings', {}],
    ['with a cookie that holds the token', { jwtSecret: 'x'.repeat(32), tokenCookie: 'session' }],
    ['with custom authentication', { authenticate: async () => ({ role: 'nobody', claims: {} }) }],
  ])('may be sent by pages of an origin that is listed by name, %s', async (_what, options) => {
    const url = await start({ ...options, corsOrigins: [NAMED, '*'] })
    for (const answer of [await preflight(url, NAMED), await post(url, single, { origin: NAMED })]) {
      expect(allowed(answer)).toBe(NAMED)
      expect(credentials(answer)).toBe('true')
    }
    for (const origin of [FOREIGN, 'null', 'file://']) {
      for (const answer of [await preflight(url, origin), await post(url, single, { origin })]) {
        expect(allowed(answer)).toBe(origin)
        expect(credentials(answer)).toBeUndefined()
      }
    }
  })

  const trusts = (globs: string[], origin: string) =>
    createOrigins({ allowed: globs, loopback: false }).isOriginTrusted({
      headers: { origin, host: 'live.example.com' },
    } as never)

  it.each([
    ['https://app.example.com', 'https://app.example.com'],
    ['https://*.example.com', 'https://a.b.example.com'],
    ['https://{app,www}.example.com', 'https://www.example.com'],
    ['https://app.example.{com,org}', 'https://app.example.org'],
    ['http*://app.example.com', 'http://app.example.com'],
    ['http://localhost:*', 'http://localhost:5173'],
    ['http://127.0.0.1:[0-9]*', 'http://127.0.0.1:80'],
    ['http://\\[::1\\]:*', 'http://[::1]:5173'],
    ['https://a?p.example.com', 'https://app.example.com'],
    ['*.example.com', 'https://app.example.com'],
    ['{https://app.example.com,http://localhost}', 'http://localhost'],
  ])('are allowed for %s, which lists origins by name', (glob, origin) => {
    expect(trusts([glob], origin)).toBe(true)
    expect(trusts([glob], FOREIGN)).toBe(false)
  })

  it.each([
    '*',
    '**',
    '*://*',
    'https://*',
    'https://**',
    'https://*.example',
    'https://*l.example',
    'https://evil.{example,org*}',
    'https://e*',
    '*evil.example',
    '*.example',
    '{https://app.example.com,*}',
    'https://{app.example.com,*}',
    'https://{a,{b,*}}.example',
    'https://[a-z]*.[a-z]*',
    'https://????.example',
    '?*',
    'h*e',
  ])('are not allowed for %s, which does not list origins by name', glob => {
    const origins = createOrigins({ allowed: [glob], loopback: false })
    const request = { headers: { origin: FOREIGN, host: 'live.example.com' } } as never
    expect(origins.isOriginTrusted(request)).toBe(false)
  })
})

describe('every answer', () => {
  const paths: [string, number, RawRequest, ServerOptions?][] = [
    ['the page', 200, { path: '/' }],
    ['a file of the page', 200, { path: '/assets/page.js' }],
    ['health', 200, { path: '/healthz' }],
    ['GraphiQL', 200, { path: '/graphql', headers: { accept: 'text/html' } }],
    ['a result', 200, { path: '/graphql?query={channels}' }],
    [
      'a result as a stream',
      200,
      { path: '/graphql?query={channels}', headers: { accept: 'text/event-stream' } },
    ],
    ['an invalid request', 400, { path: '/graphql' }],
    ['an invalid channel name', 400, { path: '/listen/%ff' }],
    ['a missing token', 401, { path: '/graphql?query={channels}' }, { jwtSecret: 'x'.repeat(32) }],
    ['a missing token for a channel', 401, { path: '/listen/x' }, { jwtSecret: 'x'.repeat(32) }],
    ['a forbidden channel', 403, { path: '/listen/x' }, { channels: [] }],
    ['an unknown path', 404, { path: '/nothing' }],
    ['a path outside the base path', 404, { path: '/nothing' }, { basePath: '/live' }],
    ['an unsupported method', 405, { method: 'PUT', path: '/graphql' }],
    ['an unsupported method for health', 405, { method: 'POST', path: '/healthz' }],
    [
      'an unsupported content type',
      406,
      { path: '/graphql?query={channels}', headers: { accept: 'image/png' } },
    ],
    [
      'too large a body',
      413,
      {
        method: 'POST',
        path: '/graphql',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: 'x'.repeat(5000) }),
      },
      { maxMessage: 1024 },
    ],
    ['too long a URL', 414, { path: `/graphql?query=${'x'.repeat(500)}` }, { maxUrl: 400 }],
    ['a form', 415, { method: 'POST', path: '/graphql', body: 'query={channels}' }],
    ['another host', 421, { path: '/', headers: { host: 'evil.example' } }],
    ['a missing upgrade', 426, { path: '/listen/x' }],
  ]

  it.each(paths)(
    'is readable for allowed pages, and varies by Origin: %s',
    async (_what, status, request, options = {}) => {
      const url = await start(options)
      const { headers = {} } = request
      const answer = await send(url, { ...request, headers: { ...headers, origin: NAMED } })
      expect(answer.status).toBe(status)
      expect(allowed(answer)).toBe(NAMED)
      expect(credentials(answer)).toBe('true')
      expect(varies(answer)).toContain('origin')
      // A cached answer without CORS headers must not be served to a page that needs them.
      const own = await send(url, request)
      expect(own.status).toBe(status)
      expect(allowed(own)).toBeUndefined()
      expect(varies(own)).toEqual(varies(answer))
    },
  )

  it('names in Vary every header that it depends on, once', async () => {
    const url = await start()
    const get = async (path: string, headers: Record<string, string> = {}) =>
      varies(await send(url, { path, headers }))
    expect(await get('/')).toEqual(['accept-encoding', 'origin'])
    expect(await get('/healthz')).toEqual(['origin'])
    expect(await get('/graphql?query={channels}')).toEqual(['accept', 'origin'])
    expect(await get('/graphql?query={channels}', { accept: 'text/event-stream' })).toEqual([
      'accept',
      'origin',
    ])
    expect(await get('/graphql?query={')).toEqual(['accept', 'origin'])
    expect(await get('/graphql', { accept: 'text/html' })).toEqual(['accept', 'accept-encoding', 'origin'])
    expect(varies(await preflight(url, NAMED))).toEqual([
      'access-control-request-headers',
      'access-control-request-method',
      'origin',
    ])
  })

  it('is not readable for other pages', async () => {
    const url = await start()
    for (const answer of [
      await preflight(url, FOREIGN),
      await send(url, { path: '/', headers: { origin: FOREIGN } }),
    ]) {
      expect(answer.status).toBe(403)
      expect(allowed(answer)).toBeUndefined()
      expect(varies(answer)).toContain('origin')
    }
  })

  it('shows Retry-After and WWW-Authenticate to pages too', async () => {
    const url = await start()
    const { headers } = await send(url, { path: '/nothing', headers: { origin: NAMED } })
    expect(headers['access-control-expose-headers']).toBe('retry-after, www-authenticate')
  })
})

describe('a refusal for too many connections', () => {
  it('is readable for allowed pages: the preflight request is answered all the same', async () => {
    const url = await start({ maxConnectionsPerAddress: 2 })
    const idle = [await openConnection(url), await openConnection(url)]
    const question = await preflight(url, NAMED)
    expect(question).toMatchObject({ status: 204, headers: { connection: 'close' } })
    expect(allowed(question)).toBe(NAMED)
    const answer = await post(url, { query: '{ channels }' }, { origin: NAMED })
    expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '1' } })
    expect(allowed(answer)).toBe(NAMED)
    expect((await preflight(url, FOREIGN)).status).toBe(429)
    for (const { socket } of idle) socket.destroy()
  })

  it('is readable for allowed pages also if one viewer has too many streams', async () => {
    const roles = await createRoles(log)
    const url = await start({ jwtSecret: SECRET, maxConnectionsPerViewer: 1, channels: ['*'] })
    const authorization = `Bearer ${await sign({ sub: '1', role: roles.user })}`
    const path = `/graphql?query=${encodeURIComponent(channelQuery('x'))}`
    const first = await openConnection(url)
    first.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: ${authorization}\r\n\r\n`,
    )
    await first.until('retry')
    const headers = { accept: 'text/event-stream', authorization, origin: NAMED }
    const answer = await send(url, { path, headers })
    expect(answer.status).toBe(429)
    expect(allowed(answer)).toBe(NAMED)
    expect(varies(answer)).toEqual(['accept', 'origin'])
    first.socket.destroy()
  })
})

it('a compressed body is accepted from allowed pages too', async () => {
  const url = await start()
  const answer = await post(url, gzipSync('{"query":"{ channels }"}'), {
    origin: NAMED,
    'content-encoding': 'gzip',
  })
  expect(answer.status).toBe(200)
  expect(allowed(answer)).toBe(NAMED)
})
