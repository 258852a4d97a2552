import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { channelQuery, frame, handshake, openConnection } from '../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

// Whatever a client sends, the server stays up, reveals no internals, and healthy subscribers get every event
// in order. A failure prints its seed and path; `fc.assert(…, { seed, path })` repeats it.

/** Time limit for each of the properties below, in ms. */
const TIME = 1500

let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await startWitnessed(database, { publish: ['fuzz*'], maxMessage: 20_000 })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})
afterEach(async () => {
  await server.expectHealthy()
  await server.expectNothingLeft()
})

/**
 * Sends bytes in pieces and returns the response.
 * @param wait for what; otherwise the client leaves immediately
 */
async function attack(pieces: readonly (string | Buffer)[], wait?: 'answer' | 'closed'): Promise<void> {
  const connection = await openConnection(server.url)
  for (const piece of pieces) if (connection.socket.writable) connection.socket.write(piece)
  if (wait === 'closed') await connection.closed
  if (wait === 'answer') await connection.until('\r\n\r\n')
  connection.socket.end()
  connection.socket.destroySoon()
  const text = await Promise.race([
    connection.closed,
    new Promise<string>(resolve => connection.socket.once('close', () => resolve(connection.text()))),
  ])
  expect(text).not.toMatch(/\n {4}at |node_modules|\/work\/|postgres:\/\//)
  expect(text).not.toMatch(/^HTTP\/1.1 500/)
  expect(server.ofType('fault')).toEqual([])
}

/** Healthy subscribers are checked repeatedly during the test. */
function assertHolds<T extends unknown[]>(property: fc.IAsyncProperty<T>): () => Promise<void> {
  return async () => {
    let over = false
    const watching = (async () => {
      while (!over) await server.expectHealthy()
    })()
    try {
      await fc.assert(property, { numRuns: 10_000, interruptAfterTimeLimit: TIME, endOnFailure: true })
    } finally {
      over = true
      await watching
    }
  }
}

const id = fc.oneof(fc.constantFrom('1', '2', '__proto__'), fc.string({ minLength: 1, maxLength: 20 }))
const query = fc.oneof(
  fc.constantFrom(
    channelQuery('fuzz'),
    channelQuery('listenql'),
    channelQuery(''),
    channelQuery('x'.repeat(70)),
    '{ channels }',
    'mutation { notify(channel: "fuzz", payload: "x") }',
    'query A { channels } query B { channels }',
    'subscription S($n: String!) { channel(name: $n) { json } }',
    '{ __schema { types { name } } }',
  ),
  fc.string({ unit: 'grapheme' }),
)
const params = fc.record(
  {
    query: fc.oneof({ weight: 9, arbitrary: query }, { weight: 1, arbitrary: fc.jsonValue() }),
    operationName: fc.oneof(fc.constantFrom('A', 'S', '', null), fc.jsonValue()),
    variables: fc.oneof(fc.record({ n: fc.oneof(fc.constant('fuzz n'), fc.jsonValue()) }), fc.jsonValue()),
    extensions: fc.jsonValue(),
  },
  { requiredKeys: [] },
)
/** Messages similar to those that clients send. */
const message = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ type: 'connection_init' }) },
  { weight: 5, arbitrary: fc.record({ id, type: fc.constant('subscribe'), payload: params }) },
  { weight: 2, arbitrary: fc.record({ id, type: fc.constant('complete') }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('ping', 'pong'), payload: fc.object() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.string(), id: fc.jsonValue(), payload: fc.jsonValue() }) },
  { weight: 1, arbitrary: fc.jsonValue() },
)
/** Truncated at some point, or with one byte changed. */
const mangled = fc
  .tuple(message, fc.nat(), fc.option(fc.integer({ min: 0, max: 255 })))
  .map(([value, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(value))
    const place = at % (bytes.length + 1)
    if (byte === null) return bytes.subarray(0, place)
    if (place < bytes.length) bytes[place] = byte
    return bytes
  })
const text = fc.oneof(
  { weight: 5, arbitrary: message.map(value => Buffer.from(JSON.stringify(value))) },
  { weight: 1, arbitrary: mangled },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)) },
)
const PROTOCOL = { 'sec-websocket-protocol': 'graphql-transport-ws' }
/** Sends a proper close: the server answers it, or has closed before, which counts as the answer. */
const BYE = frame(8, Buffer.from([0x03, 0xe8]))

describe('the server survives over a WebSocket', () => {
  it(
    'arbitrary messages',
    assertHolds(
      fc.asyncProperty(fc.boolean(), fc.array(text, { maxLength: 12 }), async (init, texts) => {
        const head = init ? [frame(1, '{"type":"connection_init"}')] : []
        const frames = texts.map(bytes => frame(1, bytes))
        await attack([handshake(server.url, '/graphql', PROTOCOL), ...head, ...frames, BYE], 'closed')
      }),
    ),
  )

  it(
    'arbitrary frames',
    assertHolds(
      fc.asyncProperty(
        fc.constantFrom('/graphql', '/listen/fuzz', '/listen/fuzz%20two'),
        fc.array(
          fc.oneof(
            fc.tuple(fc.nat(15), text, fc.boolean()).map(([opcode, bytes, fin]) => frame(opcode, bytes, fin)),
            fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.from(bytes)),
          ),
          { maxLength: 6 },
        ),
        async (path, frames) => {
          const headers = path === '/graphql' ? PROTOCOL : {}
          await attack([handshake(server.url, path, headers as Record<string, string>), ...frames, BYE])
        },
      ),
    ),
  )

  it(
    'arbitrary handshakes',
    assertHolds(
      fc.asyncProperty(
        fc.oneof(
          fc.constantFrom('/graphql', '/listen/fuzz', '/listen/', '/listen/%', '//', '/listen/%00'),
          fc.webPath().map(path => `/listen${path}`),
        ),
        fc.dictionary(
          fc.constantFrom(
            'upgrade',
            'connection',
            'host',
            'origin',
            'sec-websocket-key',
            'sec-websocket-version',
            'sec-websocket-protocol',
            'sec-websocket-extensions',
          ),
          fc.oneof(
            fc.constantFrom(
              '',
              'websocket',
              'h2c',
              'Upgrade',
              'localhost',
              'null',
              '13',
              'graphql-transport-ws',
            ),
            fc.stringMatching(/^[ -~]{0,40}$/),
          ),
        ),
        (path, headers) => attack([handshake(server.url, path, headers), BYE]),
      ),
    ),
  )
})

describe('the server survives over HTTP', () => {
  const body = fc.oneof(
    { weight: 4, arbitrary: params.map(value => JSON.stringify(value)) },
    { weight: 1, arbitrary: mangled.map(bytes => bytes.toString('latin1')) },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  )
  const header = fc.oneof(
    fc.constantFrom(
      'accept: text/event-stream',
      'accept: multipart/mixed;subscriptionSpec=1.0',
      'accept: application/json;q=0.5, */*;q=x',
      'accept: text/html',
      'content-type: application/json',
      'content-type: application/json; charset=utf-16',
      'content-type: text/plain',
      'origin: null',
      'origin: http://localhost:1',
      'host: [',
      'expect: 100-continue',
      'expect: nothing',
      'connection: upgrade',
      'upgrade: websocket',
      'if-none-match: *',
      'accept-encoding: gzip',
      'transfer-encoding: chunked',
      'access-control-request-headers: x',
      'range: bytes=0-1',
    ),
    fc.stringMatching(/^[a-z-]{1,12}: [ -~]{0,30}$/),
  )
  const target = fc.oneof(
    fc.constantFrom(
      '/',
      '/graphql',
      '/graphql?query={channels}',
      '/healthz',
      '/readyz',
      '/listen/fuzz',
      '*',
      '/%',
      '/assets/',
    ),
    query.map(value => `/graphql?query=${encodeURIComponent(value)}`),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc.stringMatching(/^\/[!-~]{0,40}$/),
  )

  it(
    'arbitrary requests',
    assertHolds(
      fc.asyncProperty(
        fc.constantFrom(
          'GET',
          'POST',
          'POST',
          'POST',
          'HEAD',
          'OPTIONS',
          'PUT',
          'DELETE',
          'TRACE',
          'QUERY',
          'x',
        ),
        target,
        fc.array(header, { maxLength: 5 }),
        body,
        async (method, path, headers, content) => {
          const length = method === 'POST' ? [`content-length: ${Buffer.byteLength(content)}`] : []
          const lines = [
            `${method} ${path} HTTP/1.1`,
            'host: localhost',
            ...headers,
            ...length,
            'connection: close',
          ]
          await attack([`${lines.join('\r\n')}\r\n\r\n`, method === 'POST' ? content : ''])
        },
      ),
    ),
  )

  it(
    'arbitrary bodies for GraphQL',
    assertHolds(
      fc.asyncProperty(
        fc.constantFrom(
          'application/json',
          'text/event-stream',
          'multipart/mixed;subscriptionSpec=1.0',
          '*/*',
        ),
        body,
        async (accept, content) => {
          const head =
            `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: ${accept}\r\n` +
            `content-length: ${Buffer.byteLength(content)}\r\n\r\n`
          await attack([head, content], 'answer')
        },
      ),
    ),
  )

  it(
    'arbitrary bytes',
    assertHolds(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), pieces =>
        attack(pieces.map(bytes => Buffer.from(bytes))),
      ),
    ),
  )
})
