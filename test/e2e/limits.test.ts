import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type Observation, type ServerOptions } from '../../src/index.js'
import { overGraphqlWs, overMultipart, overSse, payloadOf, TRANSPORTS } from '../support/clients.js'
import {
  createTestDatabase,
  type PrivatePostgres,
  startPrivatePostgres,
  type TestDatabase,
} from '../support/postgres.js'
import {
  channelQuery,
  frame,
  handshake,
  openConnection,
  openGraphql,
  openWebSocket,
  post,
} from '../support/raw.js'
import { waitUntil } from '../support/wait.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

let database: TestDatabase
const servers: WitnessedServer[] = []

beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  for (const server of servers.splice(0)) {
    await server.expectHealthy()
    await server.expectNothingLeft()
    await server.close()
  }
})
afterAll(() => database?.close())

async function start(options: ServerOptions): Promise<WitnessedServer> {
  const server = await startWitnessed(database, options)
  servers.push(server)
  return server
}
const sse = (channel: string, accept = 'text/event-stream') =>
  `GET /graphql?query=${encodeURIComponent(channelQuery(channel))} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`

/** In ms. A client has to answer a ping before the next one, and on a busy machine loopback takes its time. */
const ANSWER_TIME = 400

describe('signs of life', () => {
  it.each([
    ['/listen', '/listen/dead', {}],
    ['graphql-ws', '/graphql', { 'sec-websocket-protocol': 'graphql-transport-ws' }],
  ])('a WebSocket that answers no ping is dropped with a reason: %s', async (_name, path, headers) => {
    const server = await start({ keepAlive: 150 })
    const connection = await openConnection(server.url)
    connection.socket.write(handshake(server.url, path, headers as Record<string, string>))
    await connection.until('\r\n\r\n')
    if (path === '/graphql') {
      const subscribe = { id: '1', type: 'subscribe', payload: { query: channelQuery('dead') } }
      connection.socket.write(frame(1, '{"type":"connection_init"}'))
      connection.socket.write(frame(1, JSON.stringify(subscribe)))
      await connection.until('cursors')
    }
    expect(await connection.closed).toMatch(/No pong and no other data .* Connect again\.$/)
    expect(server.ofType('subscriber.cut')).toMatchObject([{ reason: 'silent', waiting: 0 }])
  })

  it.each([
    ['/listen', '/listen/mute', []],
    ['graphql-ws', '/graphql', ['graphql-transport-ws']],
  ])('the close frame has a code after which clients reconnect: %s', async (_name, path, protocols) => {
    const server = await start({ keepAlive: 100 })
    const socket = await openWebSocket(server.url, path, protocols, { autoPong: false })
    expect(await socket.closed).toEqual({ code: 4499, reason: expect.stringContaining('Connect again') })
  })

  it('a client that answers ping frames need not answer the messages of graphql-ws', async () => {
    const server = await start({ keepAlive: ANSWER_TIME })
    const client = await openGraphql(server.url)
    await client.listen('1', 'frames')
    for (let pings = 0; pings < 5; pings++) expect((await client.next('a ping')).type).toBe('ping')
    await database.query(`select pg_notify('frames', 'alive')`)
    let message = await client.next()
    while (message.type === 'ping') message = await client.next('the event')
    expect(message).toMatchObject({ id: '1', payload: { data: { channel: { payload: 'alive' } } } })
    client.webSocket.terminate()
  })

  it('a client that answers the messages of graphql-ws need not answer ping frames', async () => {
    const server = await start({ keepAlive: ANSWER_TIME })
    const client = await openGraphql(server.url, { autoPong: false })
    let frames = 0
    client.webSocket.on('ping', () => {
      frames++
    })
    await client.listen('1', 'messages')
    for (let pings = 0; pings < 5; pings++) {
      expect((await client.next('a ping')).type).toBe('ping')
      client.send({ type: 'pong' })
    }
    expect(frames).toBeGreaterThan(2)
    expect(client.webSocket.readyState).toBe(client.webSocket.OPEN)
    client.webSocket.terminate()
  })

  it('a client whose answer waits while the server is held up is alive', async () => {
    const server = await start({ keepAlive: 100 })
    const client = await openGraphql(server.url)
    let answered = 0
    client.webSocket.on('ping', () => {
      answered++ // the client has sent the pong; in the same process, the server reads it once this returns
      for (const end = performance.now() + 120; performance.now() < end; );
    })
    await waitUntil(() => answered >= 3, 'three pings')
    await client.listen('1', 'late')
    expect(server.ofType('subscriber.cut')).toEqual([])
    client.webSocket.terminate()
  })

  it('a client that is still sending a message is alive', async () => {
    const server = await start({ keepAlive: ANSWER_TIME })
    const connection = await openConnection(server.url)
    const headers = { 'sec-websocket-protocol': 'graphql-transport-ws' }
    connection.socket.write(handshake(server.url, '/graphql', headers))
    await connection.until('\r\n\r\n')
    connection.socket.write(frame(1, '{"type":"connection_init"}'))
    await connection.until('connection_ack')
    const message = frame(1, JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(100) } }))
    let sent = 0
    connection.socket.on('data', chunk => {
      for (const byte of chunk) {
        if (byte !== 0x89) continue // a ping of the server: a tenth of the message answers it
        const next = sent + Math.ceil(message.length / 10)
        connection.socket.write(message.subarray(sent, next))
        sent = next
      }
    })
    expect(await connection.until('"pong"')).toContain('x'.repeat(100))
    connection.socket.destroy()
  })

  it('a WebSocket that sends any data at all is kept', async () => {
    const server = await start({ keepAlive: ANSWER_TIME })
    const connection = await openConnection(server.url)
    connection.socket.write(handshake(server.url, '/listen/alive'))
    await connection.until('\r\n\r\n')
    let pings = 0
    connection.socket.on('data', chunk => {
      // A ping of the server is 0x89; the client answers it with a message instead of a pong.
      for (const byte of chunk) if (byte === 0x89) pings++
      if (pings < 6) connection.socket.write(frame(1, 'still here'))
    })
    await waitUntil(() => pings >= 5, 'five pings')
    expect(connection.socket.closed).toBe(false)
    connection.socket.destroy()
  })

  it.each([
    ['SSE', 'text/event-stream', 'retry: 1000\n\n:\n\n:\n\n'],
    ['multipart', 'multipart/mixed;subscriptionSpec=1.0', '{}\r\n--graphql'],
  ])('a quiet stream over HTTP carries keep-alives: %s', async (_name, accept, sign) => {
    const server = await start({ keepAlive: 50 })
    const connection = await openConnection(server.url)
    connection.socket.write(sse('quiet', accept).replace('HTTP/1.1', 'HTTP/1.0')) // no chunks in between
    await connection.until(sign)
    connection.socket.destroy()
  })
})

describe('a client that reads nothing', () => {
  it.each([
    ['multipart', (url: string) => [url, sse('flood', 'multipart/mixed;subscriptionSpec=1.0')]],
    ['SSE', (url: string) => [url, sse('flood')]],
  ])('is dropped after --stall-timeout: %s', async (_name, request) => {
    const server = await start({ stallTimeout: 300 })
    const connection = await openConnection(server.url)
    connection.socket.write(request(server.url)[1] as string)
    await connection.until('\r\n\r\n')
    connection.socket.pause()
    await expect.poll(() => server.ofType('subscriber.joined').at(-1)?.topic).toBe('flood')
    await database.query(`select pg_notify('flood', g || repeat('x', 7900)) from generate_series(1, 1500) g`)
    await waitUntil(() => server.ofType('subscriber.cut').length > 0, 'the cut')
    connection.socket.resume()
    // Cut in the middle, so that a client does not take it for the proper end.
    expect(await connection.closed).not.toMatch(/event: complete|--graphql--|\r\n0\r\n\r\n$/)
  })

  it('is dropped even if it keeps sending requests', async () => {
    const server = await start({ stallTimeout: 300 })
    const connection = await openConnection(server.url)
    connection.socket.write(
      handshake(server.url, '/graphql', { 'sec-websocket-protocol': 'graphql-transport-ws' }),
    )
    await connection.until('\r\n\r\n')
    connection.socket.pause()
    connection.socket.write(frame(1, '{"type":"connection_init"}'))
    const query = '{ __schema { types { name description fields { name description } } } }'
    let id = 0
    await waitUntil(() => {
      while (!connection.socket.destroyed && !connection.socket.writableNeedDrain) {
        const message = { id: `q${++id}`, type: 'subscribe', payload: { query } }
        connection.socket.write(frame(1, JSON.stringify(message)))
      }
      return server.ofType('subscriber.cut').length > 0
    }, 'the cut')
    connection.socket.destroy()
  })
})

describe('an event above --max-event', () => {
  it.each([
    ['graphql-ws', overGraphqlWs],
    ['SSE GET', overSse('GET')],
    ['SSE POST', overSse('POST')],
    ['multipart', overMultipart],
  ])('is an error in the place of the event: %s', async (_name, subscribe) => {
    const server = await start({ maxEvent: 1000 })
    const subscription = await subscribe(server.url, channelQuery('large'))
    await database.query(
      `select pg_notify('large', 'before'), pg_notify('large', repeat('x', 2000)), pg_notify('large', 'after')`,
    )
    const [before, large, after] = await subscription.results.take(3)
    expect([payloadOf(before ?? {}), payloadOf(after ?? {})]).toEqual(['before', 'after'])
    expect(large).toMatchObject({ errors: [{ extensions: { code: 'EVENT_TOO_LARGE', bytes: 2035 } }] })
    await subscription.close()
  })

  it('closes /listen with 1009 after the earlier events', async () => {
    const server = await start({ maxEvent: 1000 })
    const listener = await TRANSPORTS['/listen'](server.url, 'large')
    await database.query(`select pg_notify('large', 'before'), pg_notify('large', repeat('x', 2000))`)
    expect(await listener.results.next()).toEqual({ payload: 'before' })
    expect(await listener.ended).toBe('1009')
  })
})

describe('under churn', () => {
  it('many subscriptions on one socket are released with it', async () => {
    const server = await start({ maxSubscriptionsPerConnection: 1000 })
    const client = await openGraphql(server.url)
    for (let i = 0; i < 1000; i++) await client.listen(`id ${i}`, `channel ${i % 300}`)
    for (let i = 0; i < 1000; i += 2) client.send({ id: `id ${i}`, type: 'complete' })
    await database.query(`select pg_notify('channel ' || g, g::text) from generate_series(0, 299) g`)
    client.webSocket.terminate()
    await client.closed
  })

  it('many clients that connect and disconnect at once leave nothing', async () => {
    const server = await start({})
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        Object.values(TRANSPORTS).flatMap(subscribe =>
          Array.from({ length: 10 }, async (_, i) => {
            const subscription = await subscribe(server.url, `brief ${i}`)
            await subscription.close()
          }),
        ),
      )
      // And clients that do not even wait for a response.
      for (const request of [sse('brief'), handshake(server.url, '/listen/brief')]) {
        const connection = await openConnection(server.url)
        connection.socket.write(request)
        if (round % 2 === 0) connection.socket.destroy()
        else connection.socket.resetAndDestroy()
      }
    }
  })
})

describe('while the database is down', () => {
  let postgres: PrivatePostgres
  beforeAll(async () => {
    postgres = await startPrivatePostgres()
  })
  afterAll(() => postgres?.close())

  it('a client that leaves before LISTEN causes no LISTEN, and a client that stays gets each event once', async () => {
    await postgres.stop('fast')
    const observations: Observation[] = []
    const server = await createServer({
      databaseUrl: postgres.url,
      port: 0,
      logLevel: 'silent',
      reconnectMax: 100,
      publish: ['*'],
      observe: observation => observations.push(observation),
    })
    try {
      const subscribe = (id: string, channel: string) => ({
        id,
        type: 'subscribe',
        payload: { query: channelQuery(channel) },
      })
      const client = await openGraphql(server.url)
      client.send(subscribe('1', 'completed'))
      client.send({ id: '1', type: 'complete' })
      for (let i = 0; i < 3; i++) {
        client.send(subscribe('2', `again`))
        if (i < 2) client.send({ id: '2', type: 'complete' })
      }
      client.send({ type: 'ping' })
      expect(await client.next()).toEqual({ type: 'pong' }) // all of that was accepted

      const dropped = await openGraphql(server.url)
      dropped.send(subscribe('1', 'dropped'))
      dropped.send({ type: 'ping' })
      expect(await dropped.next()).toEqual({ type: 'pong' })
      dropped.webSocket.terminate()
      await dropped.closed

      // A server that notices closes its side too.
      for (const request of [handshake(server.url, '/listen/gone'), sse('gone')]) {
        const gone = await openConnection(server.url)
        gone.socket.write(request)
        await expect(post(server.url, { query: '{ channels }' })).resolves.toMatchObject({ status: 200 })
        gone.socket.end()
        await gone.closed
      }
      const { body } = await post(server.url, {
        query: 'mutation { notify(channel: "again", payload: "x") }',
      })
      expect(JSON.parse(body)).toMatchObject({ errors: [{ extensions: { code: 'DATABASE_FAILED' } }] })
      expect(body).not.toMatch(/ECONNREFUSED|127\.0\.0\.1/)

      await postgres.start()
      expect(await client.next('acceptance')).toEqual({
        type: 'ping',
        payload: { cursors: { 2: expect.any(String) } },
      })
      const admin = new pg.Client(postgres.adminUrl)
      await admin.connect()
      await admin.query(`select pg_notify('again', 'one'), pg_notify('again', 'two')`)
      for (const payload of ['one', 'two']) {
        expect(await client.next()).toMatchObject({ id: '2', payload: { data: { channel: { payload } } } })
      }
      const listened = observations.flatMap(one => (one.type === 'channel.listening' ? [one.channel] : []))
      expect(listened.sort()).toEqual(['again', 'listenql'])
      client.send({ id: '2', type: 'complete' })
      await waitUntil(() => observations.some(one => one.type === 'channel.released'), 'UNLISTEN')
      await admin.end()
      client.webSocket.terminate()
    } finally {
      await server.close()
    }
  })
})
