import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import {
  channelQuery,
  exchange,
  frame,
  handshake,
  openConnection,
  openGraphql,
  openWebSocket,
} from '../../support/raw.js'
import { waitUntil } from '../../support/wait.js'
import { startWitnessed, type WitnessedServer } from '../../support/witness.js'

let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await startWitnessed(database, { maxMessage: 100_000, publish: ['*'] })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})
afterEach(async () => {
  await server.expectHealthy()
  await server.expectNothingLeft()
})

const notify = (channel: string, payload: string) =>
  database.query('select pg_notify($1, $2)', [channel, payload])
const subscribe = (id: string, query: string, more: object = {}) => ({
  id,
  type: 'subscribe',
  payload: { query, ...more },
})

describe('a violation of graphql-transport-ws closes the socket with its code', () => {
  it.each([
    ['malformed JSON', '{"type":'],
    ['not an object', '[]'],
    ['null', 'null'],
    ['an unknown type', '{"type":"start"}'],
    ['no type', '{}'],
    ['a type of the wrong kind', '{"type":1}'],
    ['subscribe without id', '{"type":"subscribe","payload":{"query":"{ channels }"}}'],
    ['an empty id', '{"id":"","type":"subscribe","payload":{"query":"{ channels }"}}'],
    ['subscribe without payload', '{"id":"1","type":"subscribe"}'],
    ['a query that is not a string', '{"id":"1","type":"subscribe","payload":{"query":1}}'],
    [
      'variables that are not an object',
      '{"id":"1","type":"subscribe","payload":{"query":"{a}","variables":1}}',
    ],
    ['a message that only servers send: connection_ack', '{"type":"connection_ack"}'],
    ['a message that only servers send: next', '{"id":"1","type":"next","payload":{}}'],
    ['a message that only servers send: error', '{"id":"1","type":"error","payload":[{"message":"x"}]}'],
    ['binary garbage', Buffer.from([0, 255, 1, 254, 2])],
    ['an empty message', ''],
    [
      'a ping that is nested thousands of levels deep',
      `{"type":"ping","payload":{"x":${'['.repeat(40_000)}${']'.repeat(40_000)}}}`,
    ],
  ])('4400: %s', async (_what, message) => {
    const client = await openGraphql(server.url)
    client.send(message)
    expect((await client.closed).code).toBe(4400)
  })

  it('4401: subscribe before connection_init', async () => {
    const client = await openGraphql(server.url, { init: false })
    client.send(subscribe('1', channelQuery('too early')))
    expect(await client.closed).toEqual({ code: 4401, reason: 'Unauthorized' })
  })

  it('4429: connection_init twice', async () => {
    const client = await openGraphql(server.url)
    client.send({ type: 'connection_init' })
    expect((await client.closed).code).toBe(4429)
  })

  it('4408: no connection_init in time', async () => {
    const client = await openGraphql(server.url, { init: false })
    expect((await client.closed).code).toBe(4408)
  })

  it.each([
    ['none', []],
    ['another', ['mqtt', 'soap']],
  ])('4406: sub-protocol %s', async (_what, protocols) => {
    const key: Record<string, string> =
      protocols.length > 0 ? { 'sec-websocket-protocol': protocols.join(', ') } : {}
    // The client of ws refuses an answer without the sub-protocol that it requested.
    const connection = await openConnection(server.url)
    connection.socket.write(handshake(server.url, '/graphql', key))
    const text = await connection.closed
    expect(text).toMatch(/^HTTP\/1.1 101 /)
    expect(text.toLowerCase()).not.toContain('sec-websocket-protocol')
    expect(text).toContain('Subprotocol not acceptable: use "graphql-transport-ws"')
  })

  it('the server selects its sub-protocol among others', async () => {
    const client = await openWebSocket(server.url, '/graphql', ['mqtt', 'graphql-transport-ws'])
    expect(client.webSocket.protocol).toBe('graphql-transport-ws')
    client.webSocket.close()
    await client.closed
  })

  it.each([
    ['short', 'a'],
    ['of 4,000 characters', 'ü'.repeat(4000)],
  ])('4409: an id that is in use, %s', async (_what, id) => {
    const client = await openGraphql(server.url)
    await client.listen(id, 'twice')
    client.send(subscribe(id, channelQuery('twice')))
    const { code, reason } = await client.closed
    expect(code).toBe(4409)
    expect(reason).toMatch(/^Subscriber for (a already exists|üüü)/)
  })

  it('1009: a message over maxMessage', async () => {
    const client = await openGraphql(server.url)
    await client.listen('1', 'large')
    client.send({ type: 'ping', payload: { large: 'x'.repeat(100_000) } })
    expect((await client.closed).code).toBe(1009)
  })

  it('1009: many fragments that exceed the maximum together', async () => {
    const client = await openGraphql(server.url)
    for (let i = 0; i < 100; i++) client.webSocket.send('x'.repeat(2000), { fin: false })
    expect((await client.closed).code).toBe(1009)
  })
})

describe('an error in one operation', () => {
  it.each([
    ['a syntax error', subscribe('bad', 'subscription {'), /Syntax Error/],
    ['a validation error', subscribe('bad', '{ nothing }'), /Cannot query field "nothing"/],
    ['an empty document', subscribe('bad', ''), /Syntax Error/],
    [
      'an unknown operation name',
      subscribe('bad', 'query A { channels }', { operationName: 'B' }),
      /no operation named "B"/,
    ],
    [
      'two operations without a name',
      subscribe('bad', 'query A { channels } query B { channels }'),
      /several operations/,
    ],
    [
      'two root fields in a subscription',
      subscribe('bad', 'subscription { a: channel(name: "a") { gap } b: channel(name: "b") { gap } }'),
      /one top level field/,
    ],
    ['nesting of thousands of levels', subscribe('bad', '{a'.repeat(20_000)), /^Nested too deeply/],
  ])('%s is sent under its id, and the socket stays open', async (_what, message, text) => {
    const client = await openGraphql(server.url)
    await client.listen('good', 'good')
    client.send(message)
    const error = await client.next('the error')
    expect(error).toMatchObject({
      id: 'bad',
      type: 'error',
      payload: [{ message: expect.stringMatching(text) }],
    })
    expect(JSON.stringify(error)).not.toMatch(/\.[jt]s:\d|node_modules|"unexpected"|"http"/)
    await notify('good', 'still here')
    expect(await client.next()).toMatchObject({
      id: 'good',
      type: 'next',
      payload: { data: { channel: { payload: 'still here' } } },
    })
    // The id is free again.
    await client.listen('bad', 'good')
    client.webSocket.close()
    await client.closed
  })

  it('that occurs during execution is sent as a result', async () => {
    const client = await openGraphql(server.url)
    client.send(subscribe('1', 'subscription ($n: String!) { channel(name: $n) { payload } }'))
    expect(await client.next()).toMatchObject({
      id: '1',
      type: 'next',
      payload: { errors: [{ message: expect.stringContaining('"$n"') }] },
    })
    expect(await client.next()).toEqual({ id: '1', type: 'complete' })
    client.webSocket.close()
    await client.closed
  })
})

describe('a socket', () => {
  it('answers queries and mutations', async () => {
    const client = await openGraphql(server.url)
    await client.listen('s', 'written')
    client.send(subscribe('q', '{ channels }'))
    expect(await client.next()).toEqual({ id: 'q', type: 'next', payload: { data: { channels: ['*'] } } })
    expect(await client.next()).toEqual({ id: 'q', type: 'complete' })
    client.send(subscribe('m', 'mutation { notify(channel: "written", payload: "by mutation") }'))
    const messages = [await client.next(), await client.next(), await client.next()]
    expect(messages).toContainEqual({ id: 'm', type: 'next', payload: { data: { notify: true } } })
    expect(messages).toContainEqual({ id: 'm', type: 'complete' })
    expect(messages).toContainEqual({
      id: 's',
      type: 'next',
      payload: { data: { channel: { payload: 'by mutation' } } },
    })
    client.webSocket.close()
    await client.closed
  })

  it('answers pings with their payload, also large ones, between large results', async () => {
    const client = await openGraphql(server.url)
    client.send({ type: 'ping' })
    expect(await client.next()).toEqual({ type: 'pong' })
    const large = { text: 'ü'.repeat(45_000) }
    for (let i = 0; i < 20; i++) client.send({ type: 'ping', payload: { i, ...large } })
    for (let i = 0; i < 20; i++)
      expect(await client.next()).toEqual({ type: 'pong', payload: { i, ...large } })
    client.webSocket.close()
    await client.closed
  })

  it('accepts an id again directly after complete, and delivers each event once', async () => {
    const client = await openGraphql(server.url)
    await client.listen('1', 'again')
    for (let round = 0; round < 20; round++) {
      // One write, so that the server reads all three messages in one turn.
      client.webSocket.send(JSON.stringify({ id: '1', type: 'complete' }))
      client.webSocket.send(JSON.stringify(subscribe('1', channelQuery('again'))))
      const message = await client.next('acceptance')
      expect(message).toEqual({ type: 'ping', payload: { cursors: { 1: null } } })
      await notify('again', `round ${round}`)
      expect(await client.next()).toMatchObject({
        id: '1',
        type: 'next',
        payload: { data: { channel: { payload: `round ${round}` } } },
      })
    }
    client.send({ id: '1', type: 'complete' })
    client.send({ type: 'ping' })
    expect(await client.next()).toEqual({ type: 'pong' })
    await notify('again', 'unheard')
    client.send({ type: 'ping' })
    expect(await client.next()).toEqual({ type: 'pong' })
    await server.expectNothingLeft()
    client.webSocket.close()
    await client.closed
  })

  it('ignores a complete for an unknown id, and unsolicited pongs', async () => {
    const client = await openGraphql(server.url)
    client.send({ id: 'nobody', type: 'complete' })
    client.send({ type: 'pong', payload: { a: 1 } })
    await client.listen('1', 'unmoved')
    client.webSocket.close()
    await client.closed
  })

  it.each(['__proto__', 'constructor', '"quoted"', '\u2028', '🐘'])('accepts %j as an id', async id => {
    const client = await openGraphql(server.url)
    await client.listen(id, 'ids')
    await notify('ids', 'x')
    expect(await client.next()).toMatchObject({ id, type: 'next' })
    client.webSocket.close()
    await client.closed
  })
})

describe('a client that sends pings without end and never reads', () => {
  it('is cut off if it sends messages', async () => {
    const connection = await openConnection(server.url)
    connection.socket.pause()
    connection.socket.write(
      handshake(server.url, '/graphql', { 'sec-websocket-protocol': 'graphql-transport-ws' }),
    )
    connection.socket.write(frame(1, '{"type":"connection_init"}'))
    const ping = frame(1, JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(60_000) } }))
    await flood(connection.socket, ping, () => server.ofType('subscriber.cut').length > 0)
    expect(server.ofType('subscriber.cut').at(-1)).toMatchObject({ transport: 'graphql-ws' })
  })

  it.each([
    ['graphql-ws', '/graphql', { 'sec-websocket-protocol': 'graphql-transport-ws' }],
    ['listen', '/listen/pings', {}],
  ])('is cut off if it sends ping frames: %s', async (transport, path, headers) => {
    const impatient = await startWitnessed(database, { stallTimeout: 300 })
    try {
      const connection = await openConnection(impatient.url)
      connection.socket.pause()
      connection.socket.write(handshake(impatient.url, path, headers))
      if (transport === 'graphql-ws') connection.socket.write(frame(1, '{"type":"connection_init"}'))
      const pings = Buffer.concat(Array.from({ length: 500 }, () => frame(9, 'x'.repeat(125))))
      await flood(connection.socket, pings, () => impatient.ofType('subscriber.cut').length > 0)
      expect(impatient.ofType('subscriber.cut')[0]).toMatchObject({ transport, reason: 'stalled' })
      await impatient.expectHealthy()
      await impatient.expectNothingLeft()
    } finally {
      await impatient.close()
    }
  })

  /** Writes as fast as the server reads, until `isOver`. */
  async function flood(socket: Socket, bytes: Buffer, isOver: () => boolean): Promise<void> {
    const timer = setInterval(() => {
      while (!socket.destroyed && !socket.writableNeedDrain) socket.write(bytes)
    }, 1)
    try {
      await waitUntil(isOver, 'the flood to be cut off')
    } finally {
      clearInterval(timer)
      socket.destroy()
    }
  }
})

describe('a raw WebSocket', () => {
  it.each([
    ['no key', { 'sec-websocket-key': '' }, '400'],
    ['an impossible key', { 'sec-websocket-key': 'short' }, '400'],
    ['an old version', { 'sec-websocket-version': '7' }, '400'],
    ['an impossible sub-protocol', { 'sec-websocket-protocol': ',,' }, '400'],
  ])('with %s is refused, and its channel is released', async (_what, headers, status) => {
    for (const path of ['/listen/half', '/graphql']) {
      const answer = await exchange(
        server.url,
        handshake(server.url, path, headers as Record<string, string>),
      )
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    }
    expect(server.ofType('subscriber.joined').filter(({ topic }) => topic === 'half')).toEqual([])
  })

  it.each([
    ['a frame without mask', Buffer.from([0x81, 0x02, 0x68, 0x69]), 1002],
    ['a reserved opcode', frame(3, 'x'), 1002],
    ['a reserved bit', Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), 1002],
    ['a fragmented ping', frame(9, 'x', false), 1002],
    ['a continuation of nothing', frame(0, 'x'), 1002],
    ['a close frame of one byte', frame(8, 'x'), 1002],
    ['a forbidden close code', frame(8, Buffer.from([0x03, 0xee])), 1002],
    ['text that is not UTF-8', frame(1, Buffer.from([0xc3, 0x28])), 1007],
    ['a length over maxMessage', frame(2, Buffer.alloc(100_001)), 1009],
  ])('that sends %s is closed', async (_what, bytes, code) => {
    for (const path of ['/listen/frames', '/graphql']) {
      const connection = await openConnection(server.url)
      const chunks: Buffer[] = []
      connection.socket.on('data', chunk => chunks.push(chunk))
      connection.socket.write(
        handshake(
          server.url,
          path,
          path === '/graphql' ? { 'sec-websocket-protocol': 'graphql-transport-ws' } : {},
        ),
      )
      await connection.until('\r\n\r\n')
      connection.socket.write(bytes)
      await connection.closed
      const closeFrame = Buffer.concat(chunks).subarray(-4)
      expect([closeFrame[0], closeFrame.readUInt16BE(2)]).toEqual([0x88, code])
    }
  })

  it('that sends messages on /listen is ignored', async () => {
    const client = await openWebSocket(server.url, '/listen/talk')
    client.send('{"type":"subscribe"}')
    client.send(Buffer.from([1, 2, 3]))
    await notify('talk', 'the only message')
    expect(await client.messages.next()).toBe('the only message')
    client.webSocket.close(4321, 'bye')
    expect(await client.closed).toMatchObject({ code: 4321 })
    expect(client.messages.drain()).toEqual([])
  })

  it('that resets its connection affects no other client', async () => {
    for (const path of ['/listen/reset', '/graphql', '/nowhere']) {
      const connection = await openConnection(server.url)
      connection.socket.write(handshake(server.url, path))
      connection.socket.resetAndDestroy()
    }
  })
})
