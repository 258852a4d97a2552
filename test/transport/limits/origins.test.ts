import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createOrigins } from '../../../src/transport/limits/origins.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { channelQuery, exchange, handshake, openConnection, post, send } from '../../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../../support/witness.js'

interface From {
  readonly origin?: string
  readonly host?: string
  readonly allowed?: string[]
  readonly loopback?: boolean
  readonly urlBase?: string
}

const request = (headers: Record<string, string | undefined>) => ({ headers }) as IncomingMessage
const isAllowed = ({ origin, host = 'localhost:7700', allowed = [], loopback = true, urlBase }: From) =>
  createOrigins({ allowed, loopback, urlBase }).isOriginAllowed(request({ origin, host }))

describe('an Origin', () => {
  it.each<[boolean, string, From]>([
    [true, 'none: not a browser', {}],
    [true, 'none, on the network', { loopback: false }],

    [true, 'the same', { origin: 'http://localhost:7700' }],
    [true, 'the same, behind a proxy with TLS', { origin: 'https://x.org', host: 'x.org', loopback: false }],
    [true, 'the same, default port', { origin: 'http://x.org', host: 'x.org:80', loopback: false }],
    [true, 'the same, IPv6', { origin: 'http://[::1]:7700', host: '[::1]:7700', loopback: false }],
    [false, 'a different port', { origin: 'http://x.org:8080', host: 'x.org', loopback: false }],
    [
      false,
      'a different scheme with its own port',
      { origin: 'https://x.org', host: 'x.org:80', loopback: false },
    ],
    [
      false,
      'a host that begins with the same name',
      { origin: 'http://x.org.evil.com', host: 'x.org', loopback: false },
    ],
    [false, 'a sub-domain', { origin: 'http://a.x.org', host: 'x.org', loopback: false }],

    [
      true,
      'the one of --url-base',
      { origin: 'https://x.org', urlBase: 'https://x.org/live', loopback: false },
    ],
    [true, 'the one of --url-base, default port', { origin: 'https://x.org', urlBase: 'https://X.org:443' }],
    [
      true,
      'the one of --url-base, with a port',
      { origin: 'https://x.org:8443', urlBase: 'https://x.org:8443' },
    ],
    [
      false,
      'not the one of --url-base: the port differs',
      { origin: 'https://x.org', urlBase: 'https://x.org:8443' },
    ],
    [
      false,
      'not the one of --url-base: the scheme differs',
      { origin: 'http://x.org', urlBase: 'https://x.org' },
    ],
    [
      false,
      'not the one of --url-base: the host differs',
      { origin: 'https://a.x.org', urlBase: 'https://x.org' },
    ],
    [false, 'null, with --url-base', { origin: 'null', urlBase: 'https://x.org' }],

    [true, 'another port of localhost, on loopback', { origin: 'http://localhost:5173' }],
    [true, '127.0.0.1, on loopback', { origin: 'http://127.0.0.1:3000' }],
    [true, '::1, on loopback', { origin: 'http://[::1]:3000' }],
    [true, 'localhost with TLS, on loopback', { origin: 'https://localhost' }],
    [false, 'localhost, on the network', { origin: 'http://localhost:5173', host: 'x.org', loopback: false }],
    [false, 'localhost as a sub-domain', { origin: 'http://localhost.evil.com' }],
    [false, 'a sub-domain of localhost', { origin: 'http://evil.localhost' }],
    [false, 'a scheme of an app', { origin: 'tauri://localhost' }],
    [false, 'an extension', { origin: 'chrome-extension://localhost' }],

    [false, 'foreign', { origin: 'https://evil.com' }],
    [false, 'foreign, on the network', { origin: 'https://evil.com', host: 'x.org', loopback: false }],
    [false, 'null', { origin: 'null' }],
    [false, 'null where Host is null too', { origin: 'null', host: 'null', loopback: false }],
    [false, 'a file', { origin: 'file://' }],
    [false, 'a file where Host has no port', { origin: 'file://', host: 'localhost' }],
    [false, 'empty', { origin: '' }],
    [false, 'not an origin', { origin: 'evil' }],
    [false, 'not an origin, and Host is the same', { origin: 'evil', host: 'evil', loopback: false }],
    [false, 'several origins', { origin: 'http://localhost:7700 https://evil.com' }],

    [true, 'null, listed', { origin: 'null', allowed: ['null'] }],
    [true, 'a file, where null is listed', { origin: 'file://', allowed: ['null'] }],
    [false, 'foreign, where null is listed', { origin: 'https://evil.com', allowed: ['null'] }],

    [true, 'listed', { origin: 'https://app.example.com', allowed: ['https://app.example.com'] }],
    [true, 'listed second', { origin: 'https://b.org', allowed: ['https://a.org', 'https://b.org'] }],
    [false, 'listed with another scheme', { origin: 'http://a.org', allowed: ['https://a.org'] }],
    [false, 'listed with another port', { origin: 'https://a.org:8443', allowed: ['https://a.org'] }],

    [true, 'matching', { origin: 'https://a.example.com', allowed: ['https://*.example.com'] }],
    [true, 'matching deeper', { origin: 'https://a.b.example.com', allowed: ['https://*.example.com'] }],
    [true, 'matching any port', { origin: 'http://a.org:8080', allowed: ['http://a.org:*'] }],
    [
      false,
      'not matching: the domain itself',
      { origin: 'https://example.com', allowed: ['https://*.example.com'] },
    ],
    [
      false,
      'not matching: a longer name',
      { origin: 'https://xexample.com', allowed: ['https://*.example.com'] },
    ],
    [
      false,
      'not matching: the domain only as a prefix',
      { origin: 'https://a.example.com.evil.com', allowed: ['https://*.example.com'] },
    ],
    [false, 'with a path', { origin: 'https://evil.com/.example.com', allowed: ['https://*.example.com'] }],
    [false, 'with a query', { origin: 'https://evil.com?.example.com', allowed: ['https://*.example.com'] }],
    [
      false,
      'with a fragment',
      { origin: 'https://evil.com#.example.com', allowed: ['https://*.example.com'] },
    ],
    [
      false,
      'with a backslash',
      { origin: 'https://evil.com\\.example.com', allowed: ['https://*.example.com'] },
    ],
    [
      false,
      'with an impossible port',
      { origin: 'https://evil.com:1.example.com', allowed: ['https://*.example.com'] },
    ],
    [false, 'with a user', { origin: 'https://a.org:x@evil.com', allowed: ['https://a.org:*'] }],

    [true, 'any', { origin: 'https://evil.com', allowed: ['*'] }],
    [true, 'any: null', { origin: 'null', allowed: ['*'] }],
    [true, 'any: a file', { origin: 'file://', allowed: ['*'] }],
    [true, 'any: an extension', { origin: 'chrome-extension://abcdef', allowed: ['*'] }],
  ])('%s: %s', (expected, _what, from) => {
    expect(isAllowed(from)).toBe(expected)
  })
})

describe('a Host', () => {
  const isHostAllowed = (host: string | undefined, loopback: boolean, urlBase?: string) =>
    createOrigins({ allowed: [], loopback, urlBase }).isHostAllowed(request({ host }))

  it.each([
    'localhost',
    'localhost:7700',
    'localhost:1',
    'LOCALHOST:7700',
    '127.0.0.1',
    '127.0.0.1:7700',
    '[::1]',
    '[::1]:7700',
  ])('is accepted on loopback: %s', host => expect(isHostAllowed(host, true)).toBe(true))

  it.each([
    'evil.com',
    'evil.com:7700',
    'localhost.evil.com',
    '127.0.0.1.evil.com',
    '127.0.0.1.nip.io:7700',
    'evil.com@localhost.evil.com',
    '192.168.0.1:7700',
    '0.0.0.0:7700',
    '[::]:7700',
    '',
    undefined,
    'undefined',
    'a b',
  ])('is refused on loopback: %s', host => expect(isHostAllowed(host, true)).toBe(false))

  it('is accepted if it is the host of --url-base', () => {
    expect(isHostAllowed('events.example.com', true, 'https://events.example.com/live')).toBe(true)
    expect(isHostAllowed('evil.com', true, 'https://events.example.com')).toBe(false)
  })

  it('may have any name on the network', () => {
    expect(isHostAllowed('anything.example', false)).toBe(true)
  })
})

describe('over the network', () => {
  let database: TestDatabase
  let server: WitnessedServer
  let open: WitnessedServer

  beforeAll(async () => {
    database = await createTestDatabase()
    server = await startWitnessed(database, {
      corsOrigins: ['https://*.example.com', 'null'],
      publish: ['*'],
    })
    open = await startWitnessed(database, { host: '0.0.0.0' })
  })
  afterAll(async () => {
    await server?.expectHealthy()
    await server?.expectNothingLeft()
    await server?.close()
    await open?.close()
    await database?.close()
  })

  const query = { query: '{ channels }' }

  it.each([
    'https://evil.com',
    'https://example.com',
    'https://evil.com/.example.com',
    'http://a.example.com',
  ])('a foreign page is refused with 403, whatever it requests: %s', async origin => {
    const answers = [
      await post(server.url, query, { origin }),
      await post(server.url, { query: channelQuery('x') }, { origin, accept: 'text/event-stream' }),
      await send(server.url, { path: '/graphql?query={channels}', headers: { origin } }),
      await send(server.url, { path: '/', headers: { origin } }),
      await send(server.url, { path: '/healthz', headers: { origin } }),
      await send(server.url, { method: 'OPTIONS', path: '/graphql', headers: { origin } }),
    ]
    for (const { status, headers, body } of answers) {
      expect(status).toBe(403)
      expect(body).toContain('--cors-origins')
      expect(headers['access-control-allow-origin']).toBeUndefined()
    }
    for (const path of ['/graphql', '/listen/x']) {
      const answer = await exchange(server.url, handshake(server.url, path, { origin }))
      expect(answer).toMatch(/^HTTP\/1.1 403 /)
      expect(answer).toContain('--cors-origins')
    }
  })

  it.each(['http://localhost:5173', 'https://a.example.com', 'null', 'file://'])(
    'an allowed page may read the answer and open WebSockets: %s',
    async origin => {
      for (const { status, headers } of [
        await post(server.url, query, { origin }),
        await send(server.url, { path: '/graphql?query={channels}', headers: { origin } }),
        await post(server.url, { query: '{ channels }' }, { origin, accept: 'text/event-stream' }),
      ]) {
        expect(status).toBe(200)
        expect(headers['access-control-allow-origin']).toBe(origin)
        const isNamed = origin.endsWith('.example.com')
        expect(headers['access-control-allow-credentials']).toBe(isNamed ? 'true' : undefined)
        expect(String(headers.vary).toLowerCase()).toContain('origin')
      }
      for (const path of ['/graphql', '/listen/allowed']) {
        const connection = await openConnection(server.url)
        connection.socket.write(handshake(server.url, path, { origin }))
        expect(await connection.until('\r\n\r\n')).toMatch(/^HTTP\/1.1 101 /)
        connection.socket.destroy()
      }
    },
  )

  it('an allowed page may read errors too', async () => {
    const origin = 'https://a.example.com'
    for (const { status, headers } of [
      await post(server.url, '{', { origin }),
      await post(server.url, query, { origin, 'content-type': 'text/plain' }),
      await send(server.url, { method: 'PUT', path: '/graphql', headers: { origin } }),
      await send(server.url, { path: '/nothing', headers: { origin } }),
    ]) {
      expect(status).toBeGreaterThanOrEqual(400)
      expect(headers['access-control-allow-origin']).toBe(origin)
    }
  })

  it('answers to requests without Origin have no CORS headers but vary by Origin', async () => {
    const { headers } = await post(server.url, query)
    expect(headers['access-control-allow-origin']).toBeUndefined()
    expect(String(headers.vary).toLowerCase()).toContain('origin')
  })

  it('a preflight answer lists the methods and the requested headers', async () => {
    const answer = await send(server.url, {
      method: 'OPTIONS',
      path: '/graphql',
      headers: {
        origin: 'https://a.example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,last-event-id',
      },
    })
    expect(answer).toMatchObject({
      status: 204,
      body: '',
      headers: {
        'access-control-allow-origin': 'https://a.example.com',
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': 'content-type,last-event-id',
      },
    })
    expect(answer.headers['access-control-allow-credentials']).toBe('true')
  })

  it('another name that resolves to this machine is refused with 421 (DNS rebinding)', async () => {
    const rebound = { host: 'evil.com:7700', origin: 'http://evil.com:7700' }
    for (const path of ['/', '/graphql?query={channels}', '/healthz', '/listen/x']) {
      const answer = await send(server.url, { path, headers: rebound })
      expect(answer.status).toBe(421)
      expect(answer.body).toContain("'evil.com:7700'")
    }
    expect((await post(server.url, query, rebound)).status).toBe(421)
    for (const path of ['/graphql', '/listen/x']) {
      expect(await exchange(server.url, handshake(server.url, path, rebound))).toMatch(/^HTTP\/1.1 421 /)
    }
  })

  it('a server that is bound to all addresses accepts any name, and pages of that name only', async () => {
    const named = { host: 'db.example.com:7700' }
    expect((await post(open.url, query, named)).status).toBe(200)
    expect((await post(open.url, query, { ...named, origin: 'http://db.example.com:7700' })).status).toBe(200)
    for (const origin of ['http://evil.com', 'http://localhost:5173', 'http://db.example.com', 'null']) {
      expect((await post(open.url, query, { ...named, origin })).status).toBe(403)
      const upgrade = handshake(open.url, '/graphql', { ...named, origin })
      expect(await exchange(open.url, upgrade)).toMatch(/^HTTP\/1.1 403 /)
    }
  })

  it('the Host header does not change the path of a request', async () => {
    const answer = await exchange(
      open.url,
      'GET /x HTTP/1.1\r\nHost: a/graphql?query={channels}&\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1.1 40[04] /)
  })
})
