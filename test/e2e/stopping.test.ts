import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation, type ServerOptions } from '../../src/index.js'
import { TRANSPORTS } from '../support/clients.js'
import { createTestDatabase, startPrivatePostgres, type TestDatabase } from '../support/postgres.js'
import {
  channelQuery,
  frame,
  handshake,
  openConnection,
  openGraphql,
  openWebSocket,
  type RawConnection,
} from '../support/raw.js'
import { startSilentProxy } from '../support/silent-proxy.js'
import { waitUntil } from '../support/wait.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Started extends ListenqlServer {
  readonly observations: Observation[]
  /** Fails if stopping takes longer than allowed. */
  stop(): Promise<void>
}

const SHUTDOWN = 8000

async function start(options: ServerOptions): Promise<Started> {
  const observations: Observation[] = []
  const server = await createServer({
    port: 0,
    logLevel: 'silent',
    shutdownTimeout: SHUTDOWN,
    ...options,
    observe: observation => observations.push(observation),
  })
  cleanUps.push(() => server.close())
  return {
    ...server,
    observations,
    async stop() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not stopped after ${SHUTDOWN} ms`)), SHUTDOWN)
      })
      await Promise.race([server.close(), late])
      clearTimeout(timer)
    },
  }
}

async function startDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase()
  cleanUps.push(() => database.close())
  return database
}

const sse = (channel: string, accept = 'text/event-stream') =>
  `GET /graphql?query=${encodeURIComponent(channelQuery(channel))} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`
/** What its client calls an end depends on how the bytes arrive; the end itself is checked below. */
const MULTIPART_AT = Object.keys(TRANSPORTS).indexOf('multipart')
const MULTIPART = 'multipart/mixed;subscriptionSpec=1.0'
const faults = ({ observations }: Started) => observations.filter(({ type }) => type === 'fault')
const sessions = (database: TestDatabase) =>
  database.query(
    `select query from pg_stat_activity where datname = current_database() and application_name like 'listenql%'`,
  )
/** Postgres takes a moment to notice that a client has disconnected. */
const expectNoSessions = (database: TestDatabase) =>
  waitUntil(async () => (await sessions(database)).length === 0, 'the connections to the database to end')

describe('close()', () => {
  it('ends every stream so that its client reconnects, and leaves no connection to the database', async () => {
    const database = await startDatabase()
    const server = await start({ databaseUrl: database.url, publish: ['*'] })
    const subscriptions = await Promise.all(
      Object.values(TRANSPORTS).map(subscribe => subscribe(server.url, 'ending')),
    )
    const raw: RawConnection[] = []
    for (const accept of ['text/event-stream', MULTIPART]) {
      const connection = await openConnection(server.url)
      connection.socket.write(sse('ending', accept).replace('HTTP/1.1', 'HTTP/1.0')) // no chunks in between
      await connection.until('\r\n\r\n')
      raw.push(connection)
    }
    const reasons = await Promise.all(
      ['/listen/ending', '/graphql'].map(path =>
        openWebSocket(server.url, path, path === '/graphql' ? 'graphql-transport-ws' : []),
      ),
    )
    expect((await sessions(database)).length).toBeGreaterThan(0)

    await server.stop()
    const ends = await Promise.all(subscriptions.map(({ ended }) => ended))
    expect(ends.filter((_, i) => i !== MULTIPART_AT)).toEqual(['1001', 'dropped', 'dropped', '1001'])
    const [events, parts] = await Promise.all(raw.map(({ closed }) => closed))
    // `complete` would mean that the stream is complete.
    expect(events).toMatch(/\n\n: SERVER_STOPPING The server is stopping\.\n\n$/)
    expect(parts).toMatch(
      /\r\n\r\n\{"payload":null,"errors":\[\{"message":"[^"]+","extensions":\{"code":"SERVER_STOPPING",.*\}\]\}\r\n--graphql--\r\n$/,
    )
    for (const { closed } of reasons) {
      expect(await closed).toEqual({ code: 1001, reason: 'The server is stopping' })
    }
    await expectNoSessions(database)
    expect(faults(server)).toEqual([])
    await expect(openConnection(server.url)).rejects.toThrow('ECONNREFUSED')
  })

  it('may be called twice, at once and later', async () => {
    const database = await startDatabase()
    const server = await start({ databaseUrl: database.url })
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
  })

  it('may be called immediately after the start', async () => {
    const database = await startDatabase()
    for (let i = 0; i < 5; i++) {
      const server = await start({ databaseUrl: database.url })
      await server.stop()
    }
    await expectNoSessions(database)
  })
})

describe('close() does not wait for', () => {
  it('clients that neither read nor answer the close frame', async () => {
    const database = await startDatabase()
    const server = await start({ databaseUrl: database.url, stallTimeout: 60_000 })
    const requests = [
      sse('flood'),
      sse('flood', MULTIPART),
      handshake(server.url, '/listen/flood'),
      handshake(server.url, '/listen/quiet'), // reads and sends nothing
      handshake(server.url, '/graphql', { 'sec-websocket-protocol': 'graphql-transport-ws' }),
    ]
    const connections: RawConnection[] = []
    for (const request of requests) {
      const connection = await openConnection(server.url)
      connection.socket.write(request)
      await connection.until('\r\n\r\n')
      if (request.includes('flood')) connection.socket.pause()
      connections.push(connection)
    }
    connections.at(-1)?.socket.write(frame(1, '{"type":"connection_init"}'))
    await connections.at(-1)?.until('connection_ack')
    const topics = () =>
      server.observations.flatMap(one => (one.type === 'subscriber.joined' ? [one.topic] : []))
    await waitUntil(() => topics().length === 4, 'four subscribers')
    await database.query(`select pg_notify('flood', g || repeat('x', 7900)) from generate_series(1, 1500) g`)
    await server.stop()
    await expectNoSessions(database)
    expect(faults(server)).toEqual([])
    for (const { socket } of connections) socket.destroy()
  })

  it('HTTP connections that are kept alive, half a request, or a refused handshake', async () => {
    const database = await startDatabase()
    const server = await start({ databaseUrl: database.url })
    const idle = await openConnection(server.url)
    idle.socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await idle.until('"ok"')
    const silent = await openConnection(server.url)
    const half = await openConnection(server.url)
    half.socket.write(
      'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    )
    const refused = await openConnection(server.url)
    refused.socket.removeAllListeners('end') // its own half stays open
    refused.socket.write(handshake(server.url, '/nowhere'))
    await refused.until('404')
    await server.stop()
    await idle.closed
    await silent.closed
    await half.closed
    refused.socket.destroy()
    expect(faults(server)).toEqual([])
  })

  it.each([
    ['a WebSocket', (url: string) => handshake(url, '/listen/late'), /101|503/],
    ['a stream', () => sse('late'), /SERVER_STOPPING/],
  ])(
    '%s that is requested on a kept-alive connection while the server stops',
    async (_what, request, expected) => {
      const database = await startDatabase()
      const server = await start({ databaseUrl: database.url })
      const connection = await openConnection(server.url)
      // The request under way keeps the connection open when the idle ones are closed.
      connection.socket.write(
        'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n',
      )
      await expect.poll(() => fetch(`${server.url}/healthz`).then(({ status }) => status)).toBe(200)
      const stopped = server.stop()
      connection.socket.write(`{"query":"{ channels }"}GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      connection.socket.write(request(server.url))
      await stopped
      const text = await connection.closed
      expect(text).toContain('"channels"')
      // Node may close the connection after the response; if it does not, the other requests get the status
      // `stopping`.
      if (text.includes('"status"')) expect(text).toContain('"stopping"')
      if (text.split('HTTP/1.1 ').length > 3) expect(text.split('HTTP/1.1 ')[3]).toMatch(expected)
      expect(faults(server)).toEqual([])
    },
  )
})

describe('while the database is down', () => {
  it('close() turns away the clients that wait for LISTEN, on every transport', async () => {
    const postgres = await startPrivatePostgres()
    cleanUps.push(() => postgres.close())
    await postgres.stop('fast')
    const server = await start({ databaseUrl: postgres.url })
    const streams: RawConnection[] = []
    for (const request of [sse('never'), sse('never', MULTIPART), handshake(server.url, '/listen/never')]) {
      const connection = await openConnection(server.url)
      connection.socket.write(request)
      streams.push(connection)
    }
    const client = await openGraphql(server.url)
    client.send({ id: '1', type: 'subscribe', payload: { query: channelQuery('never') } })
    client.send({ type: 'ping' })
    expect(await client.next()).toEqual({ type: 'pong' })
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503)

    await server.stop()
    const [events, parts, listener] = await Promise.all(streams.map(({ closed }) => closed))
    // An EventSource that gets any answer other than 200 never reconnects.
    expect(events).toMatch(/^HTTP\/1.1 200 OK\r\n.*: SERVER_STOPPING .*\n\n\r\n$/s)
    expect(parts).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n.*"code":"SERVER_STOPPING"/s)
    expect(listener).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n.*server is stopping/s)
    expect((await client.closed).code).toBe(1001)
    expect(faults(server)).toEqual([])
  })

  it('close() does not wait for a database that went silent', async () => {
    const database = await startDatabase()
    const { hostname, port } = new URL(database.url)
    const proxy = await startSilentProxy({ host: hostname, port: Number(port) })
    cleanUps.push(() => proxy.close())
    const url = new URL(database.url)
    url.hostname = '127.0.0.1'
    url.port = String(proxy.port)
    const server = await start({
      databaseUrl: url.href,
      publish: ['*'],
      connectTimeout: 60_000,
      heartbeat: 60_000,
    })
    const subscription = await TRANSPORTS['graphql-ws'](server.url, 'silent')
    const notify = (payload: string) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: `mutation { notify(channel: "silent", payload: "${payload}") }` }),
      }).then(
        response => response.status,
        () => 'dropped',
      )
    expect(await notify('opens a connection')).toBe(200)
    await subscription.results.next()
    proxy.goSilent()
    const hanging = notify('hangs')
    await TRANSPORTS['graphql-ws'](server.url, 'silent') // a round trip, so that the server has processed the request
    await server.stop()
    expect(await hanging).toBe('dropped')
  })

  it('close() does not wait for a connection that is being opened', async () => {
    const proxy = await startSilentProxy({ host: '127.0.0.1', port: 1 })
    cleanUps.push(() => proxy.close())
    proxy.goSilent()
    const server = await start({
      databaseUrl: `postgres://u:p@127.0.0.1:${proxy.port}/x`,
      connectTimeout: 60_000,
    })
    await server.stop()
  })
})

describe('a process', () => {
  it('ends by itself after close() with clients of every kind still connected', async () => {
    const database = await startDatabase()
    const folder = await mkdtemp(join(tmpdir(), 'listenql-stopping-'))
    cleanUps.push(() => rm(folder, { recursive: true, force: true }))
    for (const name of ['node_modules', 'package.json', 'sql', 'assets'])
      await symlink(resolve(name), join(folder, name))
    // dist/ may be older than the sources, so build; type errors do not matter here.
    await new Promise<void>(done => {
      const tsc = resolve('node_modules', '.bin', 'tsc')
      execFile(tsc, ['-p', 'tsconfig.build.json', '--outDir', folder], () => done())
    })
    const script = join(folder, 'child.mjs')
    await writeFile(
      script,
      `
import { createServer } from './src/index.js'
const server = await createServer({ databaseUrl: process.argv[2], port: 0, logLevel: 'silent', publish: ['*'], shutdownTimeout: 2000 })
process.stdout.write(server.url + '\\n')
process.stdin.once('data', async () => {
  process.stdin.unref()
  await server.close()
  process.stdout.write('closed\\n')
})
`,
    )
    const child = spawn(process.execPath, [script, database.url], { stdio: ['pipe', 'pipe', 'inherit'] })
    cleanUps.push(() => child.kill('SIGKILL'))
    let output = ''
    child.stdout.on('data', chunk => {
      output += chunk
    })
    const exited = new Promise<number | null>(done => child.once('exit', done))
    await waitUntil(() => output.includes('\n'), 'the child to start')
    const url = output.trim()
    await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"mutation { notify(channel: \\"x\\", payload: \\"x\\") }"}',
    })
    await Promise.all(Object.values(TRANSPORTS).map(subscribe => subscribe(url, 'child')))
    const quiet = await openConnection(url)
    quiet.socket.write(handshake(url, '/listen/quiet'))
    await quiet.until('101')
    child.stdin.write('stop\n')
    expect(await exited).toBe(0)
    expect(output).toMatch(/closed\n$/)
    await expectNoSessions(database)
    quiet.socket.destroy()
  })
})
