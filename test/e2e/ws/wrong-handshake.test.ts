import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createOccasional } from '../../../src/lib/occasional.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { exchange, handshake, openWebSocket, send } from '../../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../../support/witness.js'

/** Configuration errors that make a client reconnect forever: both sides get the remedy, the log once. */

let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database?.close())

function withServer(): void {
  beforeAll(async () => {
    server = await startWitnessed(database)
  })
  afterAll(async () => {
    await server.expectHealthy()
    await server.expectNothingLeft()
    await server.close()
  })
}

describe('the legacy sub-protocol graphql-ws, of subscriptions-transport-ws', () => {
  withServer()
  const REASON = /"graphql-ws" \(subscriptions-transport-ws\).*"graphql-transport-ws"/
  const open = async () => {
    const client = await openWebSocket(server.url, '/graphql', 'graphql-ws')
    expect(client.webSocket.protocol).toBe('graphql-ws')
    return { ...client, next: async () => JSON.parse(await client.messages.next()) }
  }

  it('is closed with 4406 and a reason that names both protocols, after a message that such clients show', async () => {
    const client = await open()
    client.send({ type: 'connection_init', payload: {} })
    client.send({ type: 'start', id: '1', payload: { query: 'subscription { channel(name: "x") { gap } }' } })
    client.send({ type: 'start', id: '2', payload: { query: '{ channels }' } })
    expect(await client.next()).toEqual({
      type: 'connection_error',
      payload: { message: expect.stringMatching(REASON) },
    })
    for (const id of ['1', '2'])
      expect(await client.next()).toEqual({
        type: 'error',
        id,
        payload: { message: expect.stringMatching(REASON) },
      })
    expect(await client.closed).toEqual({ code: 4406, reason: expect.stringMatching(REASON) })
  })

  it('is closed even if the client sends nothing, or garbage', async () => {
    const silent = await open()
    const garbled = await open()
    garbled.send('{')
    garbled.send('null')
    garbled.send({ type: 'start' })
    expect(await garbled.closed).toMatchObject({ code: 4406 })
    expect(await silent.closed).toEqual({ code: 4406, reason: expect.stringMatching(REASON) })
  })

  it('is one line in the log, however often clients reconnect', () => {
    const lines = server.ofType('request.refused')
    expect(lines).toHaveLength(1)
    expect(lines).toMatchObject([
      { transport: 'graphql-ws', status: 4406, message: expect.stringMatching(REASON) },
    ])
  })

  it('is not selected if the client also offers the other one', async () => {
    const client = await openWebSocket(server.url, '/graphql', ['graphql-ws', 'graphql-transport-ws'])
    expect(client.webSocket.protocol).toBe('graphql-transport-ws')
    client.webSocket.close()
    await client.closed
  })

  it('is not the only refused one: another protocol, or none, is closed with 4406 and the right name', async () => {
    for (const headers of [{ 'sec-websocket-protocol': 'mqtt' }, {}] as Record<string, string>[]) {
      const text = await exchange(server.url, handshake(server.url, '/graphql', headers))
      expect(text).toContain('use "graphql-transport-ws"')
    }
    expect(server.ofType('request.refused')).toHaveLength(2)
  })
})

describe('a WebSocket request that has lost its upgrade headers in a proxy', () => {
  withServer()
  const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' }

  it.each(['/graphql', '/listen/people', '/listen/%ff'])('gets 426 with the lines to add: %s', async path => {
    for (const headers of [
      { ...key, 'sec-websocket-protocol': 'graphql-transport-ws' },
      { ...key, connection: 'close' },
      { ...key, upgrade: 'websocket' }, // Connection does not name it
    ] as Record<string, string>[]) {
      const answer = await send(server.url, { path, headers })
      expect(answer).toMatchObject({ status: 426, headers: { upgrade: 'websocket' } })
      expect(answer.headers.connection).toContain('upgrade')
      expect(answer.body).toContain('proxy_http_version 1.1;')
      expect(answer.body).toContain('proxy_set_header Upgrade $http_upgrade;')
      expect(answer.body).toContain('proxy_set_header Connection "upgrade";')
    }
  })

  it('is one line in the log, with the same words', () => {
    expect(server.ofType('request.refused')).toMatchObject([
      { transport: 'websocket', status: 426, message: expect.stringContaining('proxy_set_header Upgrade') },
    ])
  })

  it('gets this answer before the channel is checked', async () => {
    const closed = await startWitnessed(database, { channels: ['*'] })
    try {
      const answer = await send(closed.url, { path: '/listen/listenql', headers: key })
      expect(answer.status).toBe(426)
    } finally {
      await closed.close()
    }
  })

  it('is distinguished from a request without such headers, and from one to another path', async () => {
    expect((await send(server.url, { path: '/graphql?query={channels}' })).status).toBe(200)
    expect((await send(server.url, { path: '/nothing', headers: key })).status).toBe(404)
    const plain = await send(server.url, { path: '/listen/people' })
    expect(plain.body).toBe('this is a WebSocket: connect with ws://\n')
  })
})

it('a line in the log is repeated after a while, for each fault', () => {
  let time = 0
  const isWorthALine = createOccasional(1000, () => time)
  const said = () => ['one', 'one', 'two'].map(isWorthALine)
  expect(said()).toEqual([true, false, true])
  time = 999
  expect(said()).toEqual([false, false, false])
  time = 1000
  expect(said()).toEqual([true, false, true])
  for (let i = 0; i < 5000; i++) isWorthALine(`many ${i}`)
  expect(said()).toEqual([true, false, true])
})
