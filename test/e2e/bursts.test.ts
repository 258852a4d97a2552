import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation, type ServerOptions } from '../../src/index.js'
import { overGraphqlWs, overSse, payloadOf, TRANSPORTS } from '../support/clients.js'
import { Inbox } from '../support/inbox.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

async function withServer(
  options: ServerOptions,
  test: (server: ListenqlServer, observations: Inbox<Observation>) => Promise<void>,
): Promise<void> {
  const observations = new Inbox<Observation>()
  const server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    observe: observations.push,
    ...options,
  })
  try {
    await test(server, observations)
  } finally {
    await server.close()
  }
}

/** Sends a request and never reads the response. */
async function neverRead(url: string, request: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  await new Promise<void>(resolve => socket.once('connect', resolve))
  socket.write(request)
  await new Promise<void>(resolve => socket.once('readable', resolve)) // accepted; nothing is read from here on
  return socket
}

const sseRequest = (url: string, query: string) =>
  `GET /graphql?query=${encodeURIComponent(query)} HTTP/1.1\r\nHost: localhost:${new URL(url).port}\r\nAccept: text/event-stream\r\n\r\n`
const listenRequest = (url: string, channel: string) =>
  `GET /listen/${channel} HTTP/1.1\r\nHost: localhost:${new URL(url).port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

async function nextOf<T extends Observation['type']>(inbox: Inbox<Observation>, type: T) {
  for (;;) {
    const observation = await inbox.next(type, 25_000)
    if (observation.type === type) return observation as Extract<Observation, { type: T }>
  }
}

/** 1.7 MB of frames for a GraphQL connection: many times what one turn and one write take. */
const BURST = 20_000
/** Together 5 MB: more than the quarter of `maxBuffer` (16 MiB) from which a connection that lags pauses reading. */
const BURSTS = 3

describe('a burst', () => {
  it('of 20,000 events in one turn, several times over, reaches every subscriber complete and in order', async ({
    onTestFailed,
  }) => {
    let phase = 'subscribing'
    onTestFailed(() => console.error(`the burst failed while: ${phase}`)) // a timeout does not say where
    await withServer({}, async server => {
      const subscriptions = await Promise.all(
        Object.values(TRANSPORTS).flatMap(subscribe => [
          subscribe(server.url, 'people'),
          subscribe(server.url, 'people'),
        ]),
      )
      const expected = Array.from({ length: BURST }, (_, i) => String(i + 1))
      for (let round = 0; round < BURSTS; round++) {
        phase = `notification round ${round + 1}`
        await database.query(`select pg_notify('people', g::text) from generate_series(1, $1::int) g`, [
          BURST,
        ])
      }
      for (const [i, { results }] of subscriptions.entries()) {
        for (let round = 0; round < BURSTS; round++) {
          phase = `subscription ${i + 1} of ${subscriptions.length}, round ${round + 1}`
          const payloads = (await results.take(BURST)).map(payloadOf)
          expect(payloads.every((payload, i) => payload === expected[i])).toBe(true)
        }
      }
      phase = 'closing'
      for (const subscription of subscriptions) await subscription.close()
    })
  }, 120_000)

  it('larger than the buffer cuts off no subscriber that reads: reading from Postgres pauses', async () => {
    await withServer({ maxBuffer: 256 * 1024 }, async (server, observations) => {
      const subscriptions = await Promise.all(
        Object.values(TRANSPORTS).map(subscribe => subscribe(server.url, 'big')),
      )
      await database.query(
        `select pg_notify('big', g::text || repeat('x', 7000)) from generate_series(1,3000) g`,
      )
      for (const { results } of subscriptions) {
        const payloads = (await results.take(3000)).map(payloadOf) as string[]
        expect(payloads.every((payload, i) => payload.startsWith(`${i + 1}x`))).toBe(true)
      }
      const seen = observations.drain().map(observation => observation.type)
      expect(seen).not.toContain('subscriber.cut')
      for (const subscription of subscriptions) await subscription.close()
    })
  }, 60_000)
})

describe('a subscriber that does not read', () => {
  it.each([
    ['SSE', (url: string) => sseRequest(url, 'subscription { channel(name: "flood") { payload } }')],
    ['/listen', (url: string) => listenRequest(url, 'flood')],
  ])(
    'over %s is cut off when its buffer is full, and no other subscriber is affected',
    async (_name, request) => {
      await withServer({ maxBuffer: 1024 * 1024, stallTimeout: 60_000 }, async (server, observations) => {
        const healthy = await Promise.all(
          Object.values(TRANSPORTS).map(subscribe => subscribe(server.url, 'flood')),
        )
        const idle = await neverRead(server.url, request(server.url))
        const total = 6000 // 42 MB: more than kernel buffers and the limit
        for (let sent = 0; sent < total; sent += 500) {
          await database.query(
            `select pg_notify('flood', (g + $1::int)::text || repeat('x', 7000)) from generate_series(1,500) g`,
            [sent],
          )
          for (const { results } of healthy) {
            const payloads = (await results.take(500)).map(payloadOf) as string[]
            expect(payloads.every((payload, i) => payload.startsWith(`${sent + i + 1}x`))).toBe(true)
          }
        }
        const cut = await nextOf(observations, 'subscriber.cut')
        expect(cut).toMatchObject({ reason: 'buffer-full' })
        expect(cut.waiting).toBeGreaterThan(1024 * 1024)
        idle.destroy()
        for (const subscription of healthy) await subscription.close()
      })
    },
    60_000,
  )

  it('is cut off when it reads nothing for the stall timeout', async () => {
    await withServer({ stallTimeout: 300 }, async (server, observations) => {
      const healthy = await overSse('POST')(server.url, 'subscription { channel(name: "stall") { payload } }')
      const idle = await neverRead(server.url, listenRequest(server.url, 'stall'))
      await database.query(
        `select pg_notify('stall', g::text || repeat('x', 7000)) from generate_series(1,1500) g`,
      )
      expect(await nextOf(observations, 'subscriber.cut')).toMatchObject({
        reason: 'stalled',
        transport: 'listen',
      })
      expect((await healthy.results.take(1500)).length).toBe(1500)
      idle.destroy()
      await healthy.close()
    })
  })

  it.each([
    ['SSE', 'text/event-stream'],
    ['multipart', 'multipart/mixed;subscriptionSpec=1.0'],
  ])('over %s is disconnected at once, without an end that looks complete', async (_name, accept) => {
    await withServer({ maxBuffer: 64 * 1024, stallTimeout: 500 }, async (server, observations) => {
      const request = sseRequest(server.url, 'subscription { channel(name: "cut") { payload } }')
      const idle = await neverRead(server.url, request.replace('text/event-stream', accept))
      await database.query(
        `select pg_notify('cut', g::text || repeat('x', 7000)) from generate_series(1,2000) g`,
      )
      await nextOf(observations, 'subscriber.cut')
      await nextOf(observations, 'subscriber.left') // nothing was read until here
      const chunks: Buffer[] = []
      idle.on('data', chunk => chunks.push(chunk))
      await new Promise(resolve => idle.once('close', resolve))
      const end = Buffer.concat(chunks).subarray(-200).toString()
      expect(end).toMatch(/x{20}/)
      // Neither a last chunk, nor `complete`, nor a last part: each would mean that the stream is complete.
      expect(end).not.toMatch(/\r\n0\r\n\r\n$|event: complete|--graphql--/)
    })
  })

  it('gets a close frame with a code for reconnecting: 1013 over WebSocket', async () => {
    await withServer({ maxBuffer: 64 * 1024, stallTimeout: 500 }, async (server, observations) => {
      const idle = await neverRead(server.url, listenRequest(server.url, 'close'))
      await database.query(
        `select pg_notify('close', g::text || repeat('x', 7000)) from generate_series(1,2000) g`,
      )
      await nextOf(observations, 'subscriber.cut')
      const chunks: Buffer[] = []
      idle.on('data', chunk => chunks.push(chunk))
      await new Promise(resolve => idle.once('close', resolve))
      // The close frame: opcode 8, then the code 1013 in network byte order.
      const bytes = Buffer.concat(chunks)
      expect(bytes.includes(Buffer.from([0x03, 0xf5]))).toBe(true)
      expect(bytes.includes('Too slow')).toBe(true)
    })
  })
})

describe('a large event', () => {
  it('is delivered however small the buffer is', async () => {
    await withServer({ maxBuffer: 1024 }, async server => {
      const subscriptions = await Promise.all(
        Object.values(TRANSPORTS).map(subscribe => subscribe(server.url, 'large')),
      )
      const payload = 'ü'.repeat(3999)
      await database.query('select pg_notify($1, $2)', ['large', payload])
      for (const subscription of subscriptions) {
        expect(payloadOf(await subscription.results.next())).toBe(payload)
        await subscription.close()
      }
    })
  })

  it('is sent in pieces and arrives complete', async () => {
    await withServer({ maxAliases: 60 }, async server => {
      const aliases = Array.from({ length: 60 }, (_, i) => `p${i}: payload`).join(' ')
      const query = `subscription { channel(name: "pieces") { ${aliases} } }`
      const payload = '🐘'.repeat(1900) // 456 kB of the requested field
      for (const subscribe of [overGraphqlWs, overSse('POST')]) {
        const subscription = await subscribe(server.url, query)
        await database.query('select pg_notify($1, $2)', ['pieces', payload])
        const { data } = (await subscription.results.next()) as { data: { channel: Record<string, string> } }
        expect(Object.values(data.channel)).toEqual(Array(60).fill(payload))
        await subscription.close()
      }
    })
  })

  it('above --max-event arrives as an error, and the stream continues', async () => {
    await withServer({ maxEvent: 1000 }, async server => {
      const subscription = await overGraphqlWs(
        server.url,
        'subscription { channel(name: "limit") { payload } }',
      )
      await database.query(`select pg_notify('limit', repeat('x', 2000)), pg_notify('limit', 'small')`)
      expect(await subscription.results.next()).toMatchObject({
        data: null,
        errors: [{ extensions: { code: 'EVENT_TOO_LARGE' } }],
      })
      expect(payloadOf(await subscription.results.next())).toBe('small')
      await subscription.close()
      const listener = await TRANSPORTS['/listen'](server.url, 'limit')
      await database.query(`select pg_notify('limit', repeat('x', 2000))`)
      expect(await listener.ended).toBe('1009')
    })
  })
})
