import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { Listener } from '../../src/postgres/listener.js'
import { createLogObserver } from '../../src/telemetry/log-observations.js'
import type { Logger } from '../../src/telemetry/logger.js'
import { payloadOf, type TestSubscription, TRANSPORTS } from '../support/clients.js'
import { startDeafProxy } from '../support/deaf-proxy.js'
import { codeOf } from '../support/graphql-request.js'
import { Inbox } from '../support/inbox.js'
import { createObserved, type Observed } from '../support/observed.js'
import { type PoolMode, pgbouncer, startPgBouncer } from '../support/pgbouncer.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Started {
  readonly server: ListenqlServer
  readonly observed: Observed
  /** Warnings in the server log. */
  readonly warnings: string[]
}

async function start(options: ServerOptions): Promise<Started> {
  const observed = createObserved(30_000)
  const warnings: string[] = []
  const silent = () => undefined
  const warn = (first: unknown, message = first) => void warnings.push(String(message))
  const log = createLogObserver({ debug: silent, info: silent, error: silent, warn } as unknown as Logger)
  const server = await createServer({
    port: 0,
    logLevel: 'silent',
    reconnectMax: 200,
    observe(observation) {
      observed.observe(observation)
      log(observation)
    },
    ...options,
  })
  cleanUps.push(() => server.close())
  return { server, observed, warnings }
}

async function database(): Promise<TestDatabase> {
  const made = await createTestDatabase()
  cleanUps.push(() => made.close())
  return made
}

async function readiness({ url }: ListenqlServer): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/readyz`)
  return { status: response.status, body: await response.json() }
}

const gapOf = (result: Record<string, unknown>) =>
  (result as { data: { channel: { gap: boolean } } }).data.channel.gap

const GRAPHQL = ['graphql-ws', 'SSE GET', 'SSE POST', 'multipart'] as const
const subscribeAll = (url: string, channel: string): Promise<TestSubscription[]> =>
  Promise.all(GRAPHQL.map(name => TRANSPORTS[name](url, channel)))

async function proxied() {
  const { url, ...rest } = await database()
  const direct = new URL(url)
  const proxy = await startDeafProxy({ host: direct.hostname, port: Number(direct.port) })
  cleanUps.push(() => proxy.close())
  direct.hostname = '127.0.0.1'
  direct.port = String(proxy.port)
  return { proxy, databaseUrl: direct.href, query: rest.query, name: rest.name }
}

describe('a connection that answers but delivers no notification', () => {
  it('is detected by the heartbeat: the server is unready, logs one line, and sends one gap once the fault is over', async () => {
    const { proxy, databaseUrl, query } = await proxied()
    const { server, observed, warnings } = await start({ databaseUrl, heartbeat: 200 })
    const subscriptions = await subscribeAll(server.url, 'deaf')
    await query(`select pg_notify('deaf', 'before')`)
    for (const { results } of subscriptions) expect(payloadOf(await results.next())).toBe('before')

    proxy.setDeaf(true)
    await observed.until('database.deaf', {}, 3) // at each reconnect
    expect(await readiness(server)).toEqual({
      status: 503,
      body: {
        status: 'not ready',
        database: 'connected',
        notifications: 'not delivered',
        notReady: [{ part: 'notifications', reason: expect.stringContaining('pooler') }],
      },
    })
    expect(warnings.filter(line => line.includes('--database-url'))).toHaveLength(1)
    expect(warnings).toHaveLength(1)
    const late = TRANSPORTS['SSE POST'](server.url, 'deaf') // a subscriber is accepted only once notifications are delivered
    await query(`select pg_notify('deaf', 'missed')`)

    proxy.setDeaf(false)
    await waitUntil(async () => (await readiness(server)).status === 200, 'readiness to return')
    const lateSubscription = await late
    await query(`select pg_notify('deaf', 'after')`)
    for (const { results } of subscriptions) {
      expect(gapOf(await results.next('the gap'))).toBe(true)
      expect(payloadOf(await results.next('the event after it'))).toBe('after')
    }
    expect(payloadOf(await lateSubscription.results.next())).toBe('after')
    for (const subscription of [...subscriptions, lateSubscription]) subscription.close()
  })

  it('is detected although clients connect and disconnect all the time', async () => {
    const { proxy, databaseUrl } = await proxied()
    const { server, observed } = await start({ databaseUrl, heartbeat: 200 })
    proxy.setDeaf(true)
    let isFound = false
    const found = observed.until('database.deaf').then(() => {
      isFound = true
    })
    for (let i = 0; !isFound; i++) {
      const subscription = await Promise.race([
        TRANSPORTS['graphql-ws'](server.url, `visit ${i}`),
        found.then(() => undefined),
      ])
      subscription?.close()
    }
    await found
  })
})

it('a server starts under --exit-on-error without a LISTEN connection if the log can be read', async () => {
  const { url } = await database()
  const options = { databaseUrl: url, doorbell: 'poll', channels: [], exitOnError: true } as const
  const { server, observed } = await start(options)
  expect(observed.all('database.reached')).toHaveLength(1)
  expect((await readiness(server)).status).toBe(200)
})

describe.skipIf(!pgbouncer)('through PgBouncer', () => {
  async function pooled(mode: PoolMode, size?: number) {
    const { url, query } = await database()
    const pooler = await startPgBouncer(url, { mode, ...(size && { size }) })
    cleanUps.push(() => pooler.close())
    return { pooler, query }
  }

  it.each(['bell', 'poll'] as const)(
    'in transaction mode, with doorbell %s, no subscriber is accepted on a channel, and the server gives the reason',
    async doorbell => {
      const { pooler } = await pooled('transaction')
      const { server, observed, warnings } = await start({
        databaseUrl: pooler.url,
        doorbell,
        heartbeat: 500,
      })
      const accepted: string[] = []
      for (const name of GRAPHQL) {
        void TRANSPORTS[name](server.url, 'pooled').then(
          () => accepted.push(name),
          () => undefined,
        )
      }
      await observed.until('database.deaf', {}, 2)
      expect((await readiness(server)).status).toBe(503)
      expect(accepted).toEqual([])
      const about = warnings.filter(line => /pooler in transaction mode/.test(line))
      expect(about).toHaveLength(1)
      expect(about[0]).toContain('--database-url')
    },
  )

  it('in transaction mode, a server that polls and opens no channel is ready without LISTEN and heartbeat', async () => {
    const { pooler } = await pooled('transaction')
    const options = { databaseUrl: pooler.url, doorbell: 'poll', heartbeat: 200 } as const
    const { server, observed, warnings } = await start({ ...options, channels: [] })
    await waitUntil(async () => (await readiness(server)).status === 200, 'readiness')
    const other = await start(options) // by the time that this server detects the fault, the first one would have detected it too
    await other.observed.until('database.deaf', {}, 3)
    const types = [
      'database.deaf',
      'database.heartbeat',
      'database.connected',
      'database.unreachable',
    ] as const
    expect(types.flatMap(type => observed.all(type))).toEqual([])
    expect(warnings).toEqual([])
    expect((await readiness(server)).status).toBe(200)
    const refused = await TRANSPORTS['SSE POST'](server.url, 'pooled')
    expect(codeOf(await refused.results.next())).toBe('CHANNEL_NOT_ALLOWED')
    refused.close()
  })

  it('in session mode, the server is ready and remains so', async () => {
    const { pooler, query } = await pooled('session', 20)
    const { server, observed, warnings } = await start({ databaseUrl: pooler.url, heartbeat: 200 })
    const subscriptions = await subscribeAll(server.url, 'pooled')
    await observed.until('database.heartbeat', {}, 5)
    await query(`select pg_notify('pooled', 'hello')`)
    for (const { results } of subscriptions) expect(payloadOf(await results.next())).toBe('hello')
    expect(observed.all('database.deaf')).toEqual([])
    expect(observed.all('database.lost')).toEqual([])
    expect(warnings).toEqual([])
    for (const subscription of subscriptions) subscription.close()
  })

  it('in a mode that is changed, subscribers get one gap once notifications are delivered again', async () => {
    const { pooler, query } = await pooled('session', 20)
    const { server, observed } = await start({ databaseUrl: pooler.url, heartbeat: 200 })
    const subscriptions = await subscribeAll(server.url, 'pooled')
    await pooler.setMode('transaction')
    await query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'listenql listen'`)
    await observed.until('database.deaf')
    expect((await readiness(server)).status).toBe(503)
    await pooler.setMode('session')
    await waitUntil(async () => (await readiness(server)).status === 200, 'readiness to return')
    await query(`select pg_notify('pooled', 'after')`)
    for (const { results } of subscriptions) {
      expect(gapOf(await results.next('the gap'))).toBe(true)
      expect(payloadOf(await results.next('the event after it'))).toBe('after')
    }
    for (const subscription of subscriptions) subscription.close()
  })
})

describe('a connection that delivers notifications', () => {
  it('is proven by each of several servers on one database, whatever the privileges of their login', async () => {
    const { url, name, query } = await database()
    await query('revoke execute on function pg_notify(text, text) from public')
    await query(`alter role ${name} set default_transaction_read_only = on`)
    const started = await Promise.all(
      Array.from({ length: 3 }, () => start({ databaseUrl: url, heartbeat: 200 })),
    )
    await Promise.all(started.map(({ observed }) => observed.until('database.heartbeat', {}, 5)))
    const subscriptions = await Promise.all(
      started.map(({ server }) => TRANSPORTS['graphql-ws'](server.url, 'several')),
    )
    await query(`select pg_notify('several', 'hello')`)
    for (const { results } of subscriptions) expect(payloadOf(await results.next())).toBe('hello')
    for (const { observed, server, warnings } of started) {
      expect(observed.all('database.deaf')).toEqual([])
      expect((await readiness(server)).status).toBe(200)
      expect(warnings).toEqual([])
    }
    for (const subscription of subscriptions) subscription.close()
  })

  it('is used even if no second connection can be opened, and the server reports once that it is unproven', async () => {
    const { url, query } = await database()
    const heard = new Inbox<string>()
    const observed = createObserved()
    const listener = new Listener({
      config: connectionOptions(url),
      heartbeat: 100,
      connectTimeout: 10_000,
      reconnectMax: 100,
      lend: () => Promise.reject(new Error('too many connections')),
      observe: observed.observe,
    })
    listener.attach({
      onNotification: (_channel, payload) => heard.push(payload),
      onListening: () => undefined,
      onLost: () => undefined,
    })
    cleanUps.push(() => listener.close())
    listener.start()
    await listener.listen('unproven')
    await observed.until('database.unproven', { message: 'too many connections' }, 3)
    await query(`select pg_notify('unproven', 'heard')`)
    expect(await heard.next()).toBe('heard')
    expect(listener.ready).toBe(true)
    expect(observed.all('database.lost')).toEqual([])
  })
})
