import { expect } from 'vitest'
import type { CLIENT_METRICS } from '../../../src/telemetry/metrics/client-metrics.js'
import { readValue } from '../../support/metrics.js'
import { openConnection, post, send } from '../../support/raw.js'
import { inSeconds, sign } from '../../support/tokens.js'
import { addPerson, type Move, PEOPLE } from './world.js'

const CHANNEL = 'subscription { channel(name: "people") { payload gap } }'

/** Opens a subscription, which a metric notices. */
const atSubscribe =
  (name: keyof typeof CLIENT_METRICS, labels?: Record<string, string>): Move =>
  async world =>
    world.moves(name, () => world.subscribe(PEOPLE), labels && { labels })

/** Delivers a change to a subscriber, which a metric notices. */
const atChange =
  (name: keyof typeof CLIENT_METRICS, labels?: Record<string, string>): Move =>
  async world => {
    const { results } = await world.subscribe(PEOPLE)
    await world.moves(
      name,
      async () => {
        await addPerson(world)
        await results.next('the change')
      },
      labels && { labels },
    )
  }

/** Sends more than a subscriber takes that reads steadily, but slowly: the server pauses, and resumes. A metric notices. */
const atFlood =
  (name: keyof typeof CLIENT_METRICS): Move =>
  async world => {
    const server = await world.server({ maxBuffer: 4 * 2 ** 20 })
    const { socket } = await openConnection(server.url)
    socket.write(
      `GET /graphql?query=${encodeURIComponent(CHANNEL)} HTTP/1.1\r\nHost: localhost:${server.port}\r\nAccept: text/event-stream\r\n\r\n`,
    )
    await new Promise(resolve => socket.once('data', resolve))
    socket.on('data', () => {
      socket.pause()
      setTimeout(() => socket.resume(), 5)
    })
    await world.moves(
      name,
      () =>
        world.log.query(`select pg_notify('people', g || repeat('x', 7000)) from generate_series(1, 2000) g`),
      { server },
    )
    socket.destroy()
  }

export const CLIENT_MOVES: Record<keyof typeof CLIENT_METRICS, Move> = {
  async listenql_connections(world) {
    await world.moves('listenql_connections', () => world.subscribe(PEOPLE), {
      labels: { transport: 'graphql-ws' },
    })
    const last = await world.subscribe(PEOPLE)
    await world.moves('listenql_connections', async () => last.close())
  },
  listenql_connections_opened_total: atSubscribe('listenql_connections_opened_total'),
  async listenql_subscriptions(world) {
    await world.moves('listenql_subscriptions', () => world.subscribe(CHANNEL), {
      labels: { kind: 'channel' },
    })
    await world.moves(
      'listenql_subscriptions',
      () => world.subscribe('subscription { people { rows { pk } } }'),
      {
        labels: { kind: 'live' },
      },
    )
    const last = await world.subscribe(PEOPLE)
    await world.moves('listenql_subscriptions', async () => last.close(), { labels: { kind: 'table' } })
  },
  listenql_subscriptions_started_total: atSubscribe('listenql_subscriptions_started_total', {
    kind: 'table',
  }),
  async listenql_subscriptions_ended_total(world) {
    const last = await world.subscribe(PEOPLE)
    await world.moves('listenql_subscriptions_ended_total', async () => last.close())
  },
  async listenql_groups(world) {
    await world.moves('listenql_groups', () =>
      world.subscribe('subscription { peopleChanged { row { name } } }'),
    )
  },
  listenql_frames_sent_total: atChange('listenql_frames_sent_total', { transport: 'graphql-ws' }),
  listenql_sent_bytes_total: atChange('listenql_sent_bytes_total'),
  async listenql_cutoffs_total(world) {
    const server = await world.server({ keepAlive: 100 })
    await world.moves(
      'listenql_cutoffs_total',
      async () => {
        const { socket, until } = await openConnection(server.url)
        socket.write(
          `GET /listen/people HTTP/1.1\r\nHost: localhost:${server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
        )
        await until('101 Switching Protocols')
      },
      { server, labels: { transport: 'listen', reason: 'silent' } },
    )
  },
  async listenql_catch_up_seconds(world) {
    const server = await world.server()
    const { data } = JSON.parse((await post(server.url, { query: '{ people { cursor } }' })).body)
    await addPerson(world)
    await world.moves('listenql_catch_up_seconds', () =>
      world.subscribe(PEOPLE, server, { after: data.people.cursor }),
    )
    await world.moves('listenql_catch_up_seconds', () =>
      world.subscribe('subscription { peopleChanged(initial: true) { operation } }'),
    )
  },
  async listenql_cursors_refused_total(world) {
    await world.moves(
      'listenql_cursors_refused_total',
      async () => {
        const { results } = await world.subscribe(PEOPLE, undefined, { after: 'no cursor' })
        await results.next('the refusal')
      },
      { labels: { code: 'CURSOR_INVALID' } },
    )
  },
  async listenql_errors_total(world) {
    const { url } = await world.server()
    await world.moves(
      'listenql_errors_total',
      () => post(url, { query: '{ people(limit: -1) { cursor } }' }),
      {
        labels: { code: 'ARGUMENT_INVALID' },
      },
    )
  },
  async listenql_requests_refused_total(world) {
    const { url } = await world.server()
    await world.moves(
      'listenql_requests_refused_total',
      () => send(url, { headers: { host: 'evil.example' } }),
      {
        labels: { transport: 'http', status: '421' },
      },
    )
  },
  async listenql_viewers_refused_total(world) {
    const server = await world.secured()
    await world.moves(
      'listenql_viewers_refused_total',
      () => post(server.url, { query: '{ channels }' }, { authorization: 'Bearer x' }),
      { server, labels: { code: 'UNAUTHENTICATED' } },
    )
  },
  async listenql_viewers_ended_total(world) {
    const server = await world.secured()
    await world.moves(
      'listenql_viewers_ended_total',
      async () => {
        const token = await sign({ role: world.roles.user, exp: inSeconds(2) })
        await (await world.subscribe(CHANNEL, server, { token })).ended
      },
      { server },
    )
  },
  listenql_client_memory_bytes: atSubscribe('listenql_client_memory_bytes', { use: 'held' }),
  async listenql_client_memory_limit_bytes(world) {
    const server = await world.server({ maxClientMemory: 100 * 2 ** 20 })
    expect(await readValue(server, 'listenql_client_memory_limit_bytes')).toBe(100 * 2 ** 20)
    expect(await readValue(await world.server(), 'listenql_client_memory_limit_bytes')).not.toBe(
      100 * 2 ** 20,
    )
  },
  listenql_backpressure_pauses_total: atFlood('listenql_backpressure_pauses_total'),
  listenql_backpressure_paused_seconds_total: atFlood('listenql_backpressure_paused_seconds_total'),
  async listenql_oversized_events_total(world) {
    const server = await world.server({ maxEvent: 1000 })
    const { results } = await world.subscribe(CHANNEL, server)
    await world.moves(
      'listenql_oversized_events_total',
      async () => {
        await world.log.query(`select pg_notify('people', repeat('x', 2000))`)
        await results.next('the error')
      },
      { server },
    )
  },
  async listenql_events_total(world) {
    await world.subscribe(CHANNEL)
    await world.moves('listenql_events_total', () => world.log.query('notify people'), {
      labels: { kind: 'channel', topic: '*' },
    })
    await world.moves('listenql_events_total', () => addPerson(world), {
      labels: { kind: 'table', topic: 'people' },
    })
  },
  async listenql_delivery_seconds(world) {
    await atChange('listenql_delivery_seconds', { kind: 'table' })(world)
    await world.subscribe(CHANNEL)
    await world.moves(
      'listenql_delivery_seconds',
      () => world.log.query(`select listenql.publish('people', 'hello')`),
      { labels: { kind: 'channel' } },
    )
  },
  async listenql_gaps_total(world) {
    const { results } = await world.subscribe(CHANNEL)
    await world.moves(
      'listenql_gaps_total',
      async () => {
        await world.log.database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listenql listen' and datname = current_database()`,
        )
        await results.next('the gap')
      },
      { labels: { cause: 'outage' } },
    )
  },
}
