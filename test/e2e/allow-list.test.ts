import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { overGraphqlWs, overMultipart, overSse, payloadOf, TRANSPORTS } from '../support/clients.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { exchange, handshake, post, send } from '../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await startWitnessed(database, {
    channels: ['people', 'room.*', 'witness*'],
    publish: ['room.*', 'listen*'],
  })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})
afterEach(async () => {
  await server.expectHealthy()
  await server.expectNothingLeft()
})

const GRAPHQL = {
  'graphql-ws': overGraphqlWs,
  'SSE GET': overSse('GET'),
  'SSE POST': overSse('POST'),
  multipart: overMultipart,
}
const REFUSED = [
  'People',
  'people ',
  'peoples',
  'xpeople',
  'room',
  'Room.1',
  'listenql',
  'rooms',
  'a"b',
  'people\n',
]

describe('listening', () => {
  it.each(Object.entries(TRANSPORTS))('is allowed on matching channels: %s', async (_name, subscribe) => {
    for (const channel of ['people', 'room.', 'room.1', 'room.a/b', 'room.\n', 'room.people']) {
      const subscription = await subscribe(server.url, channel)
      await database.query('select pg_notify($1, $2)', [channel, 'heard'])
      expect(payloadOf(await subscription.results.next())).toBe('heard')
      await subscription.close()
    }
  })

  it.each(Object.entries(GRAPHQL))(
    'on other channels is refused with CHANNEL_NOT_ALLOWED: %s',
    async (_name, subscribe) => {
      for (const name of REFUSED) {
        const refused = await subscribe(
          server.url,
          'subscription ($name: String!) { channel(name: $name) { payload } }',
          { name },
        )
        expect(await refused.results.next()).toMatchObject({
          errors: [
            {
              message: `requested channel '${name}' is not allowed`,
              path: ['channel'],
              extensions: { code: 'CHANNEL_NOT_ALLOWED' },
            },
          ],
        })
        await refused.close()
      }
    },
  )

  it('on other channels is refused with 403 on /listen, in the words of pg_eventserv', async () => {
    for (const name of REFUSED) {
      const path = `/listen/${encodeURIComponent(name)}`
      const body = `requested channel '${name}' is not allowed`
      expect(await send(server.url, { path })).toMatchObject({ status: 403, body })
      const answer = await exchange(server.url, handshake(server.url, path))
      expect(answer).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/)
      expect(answer.split('\r\n\r\n')[1]).toBe(body)
    }
  })

  it('on a name that Postgres does not accept is refused with 400 on /listen', async () => {
    for (const path of [
      '/listen/',
      `/listen/room.${'x'.repeat(60)}`,
      '/listen/room.%00',
      '/listen/room.%ff',
    ]) {
      expect((await send(server.url, { path })).status).toBe(400)
      expect(await exchange(server.url, handshake(server.url, path))).toMatch(/^HTTP\/1.1 400 /)
    }
  })

  it('is not attempted on a refused channel', () => {
    const channels = server.ofType('channel.listening').map(({ channel }) => channel)
    for (const name of REFUSED) expect(channels).not.toContain(name)
  })

  it('is allowed on the patterns that the query channels returns', async () => {
    const { body } = await post(server.url, { query: '{ channels }' })
    expect(JSON.parse(body)).toEqual({ data: { channels: ['people', 'room.*', 'witness*'] } })
  })
})

describe('publishing', () => {
  const notify = async (channel: string, payload: string, accept = 'application/json') => {
    const query = 'mutation ($c: String!, $p: String!) { notify(channel: $c, payload: $p) }'
    const { body } = await post(server.url, { query, variables: { c: channel, p: payload } }, { accept })
    return JSON.parse(accept === 'text/event-stream' ? (/data: (.*)/.exec(body)?.[1] ?? '') : body) as {
      data?: unknown
      errors?: { message: string; extensions: { code: string } }[]
    }
  }

  it('is allowed on matching channels', async () => {
    const subscription = await TRANSPORTS['graphql-ws'](server.url, 'room.1')
    expect(await notify('room.1', 'by mutation')).toEqual({ data: { notify: true } })
    expect(payloadOf(await subscription.results.next())).toBe('by mutation')
    expect(await notify('room.1', 'over SSE', 'text/event-stream')).toEqual({ data: { notify: true } })
    expect(payloadOf(await subscription.results.next())).toBe('over SSE')
    const largest = 'ü'.repeat(3999)
    expect(await notify('room.1', `${largest}x`)).toEqual({ data: { notify: true } })
    expect(payloadOf(await subscription.results.next())).toBe(`${largest}x`)
    await subscription.close()
  })

  it.each(['people', 'witness 1', 'room', 'other', 'listenql'])(
    'on other channels is refused with CHANNEL_NOT_ALLOWED: %s',
    async name => {
      for (const accept of ['application/json', 'text/event-stream']) {
        expect((await notify(name, 'x', accept)).errors).toMatchObject([
          {
            message: `publishing on channel '${name}' is not allowed`,
            extensions: { code: 'CHANNEL_NOT_ALLOWED' },
          },
        ])
      }
    },
  )

  it.each([
    ['8,000 bytes', 'x'.repeat(8000), 'PAYLOAD_TOO_LARGE'],
    ['8,000 bytes in 4,000 characters', 'ü'.repeat(4000), 'PAYLOAD_TOO_LARGE'],
    ['a NUL', 'a\0b', 'PAYLOAD_INVALID'],
  ])('is refused for a payload of %s', async (_what, payload, code) => {
    expect((await notify('room.1', payload)).errors).toMatchObject([{ extensions: { code } }])
  })

  it('on a channel whose name is too long is refused for the name', async () => {
    expect((await notify(`room.${'x'.repeat(60)}`, 'x')).errors).toMatchObject([
      { extensions: { code: 'CHANNEL_NAME_INVALID' } },
    ])
  })

  it('is disabled by default', async () => {
    const closed = await startWitnessed(database)
    try {
      const { body } = await post(closed.url, { query: 'mutation { notify(channel: "x", payload: "x") }' })
      expect(JSON.parse(body)).toMatchObject({ errors: [{ extensions: { code: 'CHANNEL_NOT_ALLOWED' } }] })
    } finally {
      await closed.close()
    }
  })
})
