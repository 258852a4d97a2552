import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../../src/index.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { send } from '../../support/raw.js'
import { SECRET } from '../../support/tokens.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database?.close())

async function withServer(
  options: ServerOptions,
  test: (server: ListenqlServer) => Promise<void>,
): Promise<void> {
  const server = await createServer({ databaseUrl: database.url, port: 0, logLevel: 'silent', ...options })
  try {
    await test(server)
  } finally {
    await server.close()
  }
}

const get = (url: string | undefined, path: string, headers: Record<string, string> = {}) =>
  send(url as string, { path, headers: { host: 'localhost', ...headers } })

describe('on the port of clients', () => {
  it('this machine reads metrics and status, below the base path', () =>
    withServer({ basePath: '/live' }, async server => {
      expect(server.metricsUrl).toBe(server.url)
      expect((await get(server.url, '/live/metrics')).body).toContain('listenql_build_info{')
      expect(JSON.parse((await get(server.url, '/live/status')).body)).toMatchObject({ ready: true })
      expect((await get(server.url, '/metrics')).status).toBe(404)
    }))

  it('requests that a proxy has passed on get 404', () =>
    withServer({}, async ({ url }) => {
      for (const header of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip', 'x-forwarded-host'])
        expect((await get(url, '/metrics', { [header]: '203.0.113.7' })).status).toBe(404)
      expect((await get(url, '/metrics')).status).toBe(200)
    }))

  it('so do those of a proxy that adds no such header: HTTP/1.0, or the header Connection of the nginx for WebSockets', () =>
    withServer({}, async ({ url }) => {
      const raw = (text: string) =>
        new Promise<string>((resolve, reject) => {
          const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.end(text))
          let answer = ''
          socket.on('data', chunk => (answer += chunk)).on('error', reject)
          socket.on('close', () => resolve(answer.split('\r\n')[0] as string))
        })
      const host = 'Host: 127.0.0.1:7700\r\n'
      expect(await raw(`GET /metrics HTTP/1.0\r\n${host}Connection: close\r\n\r\n`)).toContain('404')
      expect(await raw(`GET /status HTTP/1.1\r\n${host}Connection: upgrade\r\n\r\n`)).toContain('404')
      expect(await raw(`GET /status HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)).toContain('200')
    }))

  const closed: Readonly<Record<string, ServerOptions>> = {
    'the network can reach the server': { host: '0.0.0.0' },
    'viewers have roles': { jwtSecret: SECRET },
    '--url-base names a proxy': { urlBase: 'https://events.example.com' },
    '--trust-proxy names a proxy': { trustProxy: ['127.0.0.1'] },
  }
  it.each(Object.entries(closed))('there is neither if %s', (_, options) =>
    withServer(options, async ({ url, port, metricsUrl }) => {
      expect(metricsUrl).toBeUndefined()
      const local = url.includes('example.com') ? `http://localhost:${port}` : url
      for (const path of ['/metrics', '/status']) expect((await get(local, path)).status).toBe(404)
    }),
  )
})

describe('on a port of their own', () => {
  it('there are metrics, status and health and nothing else, and the port of clients has no metrics', () =>
    withServer({ metricsPort: 0, jwtSecret: SECRET }, async ({ url, metricsUrl }) => {
      expect(metricsUrl).not.toBe(url)
      for (const path of ['/metrics', '/status', '/healthz', '/readyz'])
        expect([path, (await get(metricsUrl, path)).status]).toEqual([path, 200])
      for (const path of ['/', '/graphql', '/metrics/', '/metricsx', '/../metrics'])
        expect([path, (await get(metricsUrl, path)).status]).toEqual([path, 404])
      expect((await get(url, '/metrics')).status).toBe(404)
    }))

  it('a web page that has made its name resolve to this machine reads nothing', () =>
    withServer({ metricsPort: 0 }, async ({ metricsUrl }) => {
      expect((await get(metricsUrl, '/metrics', { host: 'evil.example' })).status).toBe(421)
      const { headers } = await get(metricsUrl, '/metrics', { origin: 'https://evil.example' })
      expect(headers).not.toHaveProperty('access-control-allow-origin')
    }))

  it('only GET and HEAD are answered', () =>
    withServer({ metricsPort: 0 }, async ({ metricsUrl }) => {
      const request = (method: string) =>
        send(metricsUrl as string, { method, path: '/metrics', headers: { host: 'localhost' } })
      expect(await request('POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
      expect(await request('HEAD')).toMatchObject({ status: 200, body: '' })
    }))

  it('a port that is in use, or is that of the server, is refused with the option that names it', async () => {
    await withServer({ metricsPort: 0 }, async ({ metricsUrl }) => {
      const taken = Number(new URL(metricsUrl as string).port)
      await expect(
        createServer({ databaseUrl: database.url, port: 0, logLevel: 'silent', metricsPort: taken }),
      ).rejects.toMatchObject({ code: 'PORT_IN_USE', hint: expect.stringContaining('--metrics-port') })
    })
    await expect(createServer({ port: 7700, metricsPort: 7700 })).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
      message: expect.stringContaining('metricsPort'),
    })
  })

  it('closes with the server', async () => {
    let url: string | undefined
    await withServer({ metricsPort: 0 }, async ({ metricsUrl }) => {
      url = metricsUrl
    })
    await expect(get(url, '/metrics')).rejects.toThrow('ECONNREFUSED')
  })
})
