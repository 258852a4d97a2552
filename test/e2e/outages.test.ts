import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation, type ServerOptions } from '../../src/index.js'
import { payloadOf, type TestSubscription, TRANSPORTS } from '../support/clients.js'
import { Inbox } from '../support/inbox.js'
import { createTestDatabase, startPrivatePostgres, type TestDatabase } from '../support/postgres.js'
import { startSilentProxy } from '../support/silent-proxy.js'
import { waitUntil } from '../support/wait.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(options: ServerOptions): Promise<ListenqlServer & { observations: Inbox<Observation> }> {
  const observations = new Inbox<Observation>()
  const server = await createServer({
    port: 0,
    logLevel: 'silent',
    reconnectMax: 200,
    observe: observations.push,
    ...options,
  })
  cleanUps.push(() => server.close())
  return { ...server, observations }
}

async function nextOf(inbox: Inbox<Observation>, type: Observation['type']): Promise<Observation> {
  for (;;) {
    const observation = await inbox.next(type)
    if (observation.type === type) return observation
  }
}

const terminateListener = (database: TestDatabase) =>
  database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
  )
const isReady = async (url: string) => (await fetch(`${url}/readyz`)).status === 200
const GRAPHQL = ['graphql-ws', 'SSE GET', 'SSE POST', 'multipart'] as const

const subscribeAll = (url: string, channel: string): Promise<TestSubscription[]> =>
  Promise.all(GRAPHQL.map(name => TRANSPORTS[name](url, channel)))

const gapOf = (result: Record<string, unknown>) =>
  (result as { data: { channel: { gap: boolean; payload: unknown } } }).data.channel

/** Every GraphQL subscriber gets exactly one gap, then later notifications; `/listen` is closed with 1012. */
async function expectOneGap(
  subscriptions: TestSubscription[],
  listener: TestSubscription,
  notify: () => Promise<unknown>,
) {
  for (const { results } of subscriptions)
    expect(gapOf(await results.next('the gap'))).toMatchObject({ gap: true, payload: null })
  await notify()
  for (const { results } of subscriptions) {
    expect(gapOf(await results.next('the event after the gap'))).toMatchObject({
      gap: false,
      payload: 'after',
    })
  }
  expect(await listener.ended).toBe('1012')
}

describe('the LISTEN connection is restored', () => {
  it('after its backend was terminated, each time', async () => {
    const database = await createTestDatabase()
    cleanUps.push(() => database.close())
    const server = await start({ databaseUrl: database.url })
    const subscriptions = await subscribeAll(server.url, 'outage')
    for (let round = 1; round <= 3; round++) {
      const listener = await TRANSPORTS['/listen'](server.url, 'outage')
      await terminateListener(database)
      await expectOneGap(subscriptions, listener, () => database.query(`select pg_notify('outage', 'after')`))
    }
    // All channels are restored on one connection.
    const rows = await database.query(
      `select 1 from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
    )
    expect(rows).toHaveLength(1)
    for (const subscription of subscriptions) subscription.close()
  })

  it('after Postgres was stopped and started; meanwhile readiness is false and subscribing waits', async () => {
    const postgres = await startPrivatePostgres()
    cleanUps.push(() => postgres.close())
    const server = await start({ databaseUrl: postgres.url })
    const subscriptions = await subscribeAll(server.url, 'outage')
    const listener = await TRANSPORTS['/listen'](server.url, 'outage')
    expect(await isReady(server.url)).toBe(true)

    await postgres.stop('fast')
    await waitUntil(async () => !(await isReady(server.url)), 'readiness to turn false')
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    await nextOf(server.observations, 'database.unreachable')
    const late = TRANSPORTS['SSE POST'](server.url, 'outage')

    await postgres.start()
    await waitUntil(() => isReady(server.url), 'readiness to return')
    const notify = async () => {
      const client = new pg.Client(postgres.adminUrl)
      await client.connect()
      await client.query(`select pg_notify('outage', 'after')`)
      await client.end()
    }
    const lateSubscription = await late
    await expectOneGap(subscriptions, listener, notify)
    // A subscriber that joined during the outage has missed nothing that it was promised, so it gets no gap.
    expect(payloadOf(await lateSubscription.results.next())).toBe('after')
    for (const subscription of [...subscriptions, lateSubscription]) subscription.close()
  })

  it('after it went silent (half-open), which the heartbeat detects', async () => {
    const database = await createTestDatabase()
    cleanUps.push(() => database.close())
    const { hostname, port } = new URL(database.url)
    const proxy = await startSilentProxy({ host: hostname, port: Number(port) })
    cleanUps.push(() => proxy.close())
    const url = new URL(database.url)
    url.hostname = '127.0.0.1'
    url.port = String(proxy.port)
    const server = await start({ databaseUrl: url.href, heartbeat: 1000, connectTimeout: 500 })
    const subscriptions = await subscribeAll(server.url, 'outage')
    const listener = await TRANSPORTS['/listen'](server.url, 'outage')

    proxy.goSilent()
    const lost = await nextOf(server.observations, 'database.lost')
    expect(lost).toMatchObject({ message: 'no answer for 1000 ms', channels: 1 })
    expect(await isReady(server.url)).toBe(false)
    await nextOf(server.observations, 'database.unreachable') // a silent server does not accept connections either
    proxy.recover()
    await expectOneGap(subscriptions, listener, () => database.query(`select pg_notify('outage', 'after')`))
    for (const subscription of subscriptions) subscription.close()
  })

  it('if the database is down at the start', async () => {
    const postgres = await startPrivatePostgres()
    cleanUps.push(() => postgres.close())
    await postgres.stop('fast')
    const server = await start({ databaseUrl: postgres.url })
    expect(await nextOf(server.observations, 'database.unreachable')).toMatchObject({
      message: expect.stringContaining('ECONNREFUSED'),
    })
    expect(await isReady(server.url)).toBe(false)
    const pending = TRANSPORTS['graphql-ws'](server.url, 'outage')
    await postgres.start()
    const subscription = await pending
    const client = new pg.Client(postgres.adminUrl)
    await client.connect()
    await client.query(`select pg_notify('outage', 'after')`)
    await client.end()
    expect(payloadOf(await subscription.results.next())).toBe('after')
    subscription.close()
  })

  it('with all of its channels', async () => {
    const database = await createTestDatabase()
    cleanUps.push(() => database.close())
    const server = await start({ databaseUrl: database.url })
    const subscriptions: TestSubscription[] = []
    for (let i = 0; i < 60; i++)
      subscriptions.push(await TRANSPORTS['graphql-ws'](server.url, `channel ${i}`))
    await terminateListener(database)
    for (const { results } of subscriptions) expect(gapOf(await results.next()).gap).toBe(true)
    await database.query(`select pg_notify('channel ' || g, 'after') from generate_series(0, 59) g`)
    for (const { results } of subscriptions) expect(payloadOf(await results.next())).toBe('after')
    for (const subscription of subscriptions) subscription.close()
  })
})
