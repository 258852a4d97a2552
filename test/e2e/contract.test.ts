import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { overGraphqlWs, overMultipart, overSse, payloadOf, TRANSPORTS } from '../support/clients.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

let database: TestDatabase
let server: ListenqlServer
/** Channels whose last subscriber has left. */
const released = new Set<string>()

beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    observe: observation => {
      if (observation.type === 'channel.released') released.add(observation.channel)
    },
    channels: ['*', 'only:{a,b}'],
  })
})
afterAll(async () => {
  await server.close()
  await database.close()
})

const notify = (channel: string, payload: string) =>
  database.query('select pg_notify($1, $2)', [channel, payload])

/** The channels on which, according to Postgres, the server listens. */
async function listenedChannels(): Promise<number> {
  const rows = await database.query(
    `select query from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
  )
  return rows.length
}

describe.each(Object.entries(TRANSPORTS))('%s', (transport, subscribe) => {
  it('delivers what is notified immediately after acceptance', async () => {
    for (let i = 0; i < 20; i++) {
      const subscription = await subscribe(server.url, `accepted ${transport} ${i}`)
      await notify(`accepted ${transport} ${i}`, `event ${i}`)
      expect(payloadOf(await subscription.results.next())).toBe(`event ${i}`)
      await subscription.close()
    }
  })

  it.each([
    ['empty', ''],
    ['not JSON', '{"half":'],
    ['line breaks', 'a\nb\r\nc\u2028d\n\ndata: x\n\n--graphql--'],
    ['unicode', 'Grüße, 世界 🐘 \u0001'],
    ['7,999 bytes', 'x'.repeat(7999)],
    ['markup', '</script><img src=x onerror=alert(1)>'],
  ])('carries a payload unchanged: %s', async (_what, payload) => {
    const subscription = await subscribe(server.url, 'payloads')
    await notify('payloads', payload)
    expect(payloadOf(await subscription.results.next())).toBe(payload)
    await subscription.close()
  })

  it.each([
    'MixedCase',
    'with.dots',
    'with "quotes"',
    "it's",
    'slash/and\\backslash',
    '%20 percent',
    'Ünïcödé 世界 🐘',
    'x'.repeat(63),
    'new\nline',
    ';drop table x',
  ])('accepts the channel name %j', async name => {
    const subscription = await subscribe(server.url, name)
    await notify(name, 'heard')
    expect(payloadOf(await subscription.results.next())).toBe('heard')
    await subscription.close()
  })

  it('delivers to many subscribers in order', async () => {
    const subscriptions = await Promise.all(Array.from({ length: 10 }, () => subscribe(server.url, 'many')))
    await database.query(`select pg_notify('many', g::text) from generate_series(1, 500) g`)
    const expected = Array.from({ length: 500 }, (_, i) => String(i + 1))
    for (const subscription of subscriptions) {
      expect((await subscription.results.take(500)).map(payloadOf)).toEqual(expected)
      await subscription.close()
    }
  })

  it('unsubscribes when the client leaves', async () => {
    const channel = `leaving ${transport}`
    const subscription = await subscribe(server.url, channel)
    await subscription.close()
    await waitUntil(() => released.has(channel), 'UNLISTEN')
    await notify(channel, 'unheard')
    const again = await subscribe(server.url, channel)
    await notify(channel, 'heard')
    expect(payloadOf(await again.results.next())).toBe('heard')
    await again.close()
  })
})

describe('every GraphQL transport', () => {
  const graphql = {
    'graphql-ws': overGraphqlWs,
    GET: overSse('GET'),
    POST: overSse('POST'),
    multipart: overMultipart,
  }

  it.each(Object.entries(graphql))(
    '%s refuses a channel name that Postgres does not accept',
    async (_name, subscribe) => {
      for (const name of ['', 'x'.repeat(64), 'ü'.repeat(32)]) {
        const refused = await subscribe(
          server.url,
          'subscription ($name: String!) { channel(name: $name) { payload } }',
          { name },
        )
        expect(await refused.results.next()).toMatchObject({
          errors: [{ extensions: { code: 'CHANNEL_NAME_INVALID' } }],
        })
        await refused.close()
      }
    },
  )

  it.each(Object.entries(graphql))('%s never opens the internal channel', async (_name, subscribe) => {
    const refused = await subscribe(server.url, 'subscription { channel(name: "listenql") { payload } }')
    expect(await refused.results.next()).toMatchObject({
      errors: [{ extensions: { code: 'CHANNEL_NOT_ALLOWED' } }],
    })
    await refused.close()
  })

  it.each(Object.entries(graphql))(
    '%s returns each field as the schema declares it',
    async (_name, subscribe) => {
      const subscription = await subscribe(
        server.url,
        'subscription S($with: Boolean = true) { event: channel(name: "fields") { __typename channel payload json cursor gap at @include(if: $with) } }',
      )
      await notify('fields', '{"a": [1, null]}')
      await notify('fields', 'no json')
      const [first, second] = await subscription.results.take(2)
      expect(first).toEqual({
        data: {
          event: {
            __typename: 'ChannelEvent',
            channel: 'fields',
            payload: '{"a": [1, null]}',
            json: { a: [1, null] },
            cursor: null,
            gap: false,
            at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
          },
        },
      })
      expect(second).toMatchObject({ data: { event: { payload: 'no json', json: null } } })
      await subscription.close()
    },
  )
})

it('the server uses one LISTEN connection, and listens only while there is a subscriber', async () => {
  const subscriptions = await Promise.all(
    Object.values(TRANSPORTS).flatMap(subscribe =>
      ['one', 'two', 'three'].map(name => subscribe(server.url, `shared ${name}`)),
    ),
  )
  expect(await listenedChannels()).toBe(1)
  for (const subscription of subscriptions) await subscription.close()
  await waitUntil(async () => {
    // NOTIFY is queued for listeners only: without any, its queue stays empty and the backend's last
    // statement is UNLISTEN.
    const [row] = await database.query(
      `select query from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
    )
    return String(row?.query).includes('unlisten')
  }, 'UNLISTEN')
})
