import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ReloadableKey } from '../../../src/config/index.js'
import { createServer, type ListenqlServer, type ServerOptions } from '../../../src/index.js'
import { overGraphqlWs, overSse as sseBy } from '../../support/clients.js'
import { resultOf } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { exchange, openConnection, openGraphql, openWebSocket, post, send } from '../../support/raw.js'
import { SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

// A server starts with a wide limit and gets a narrow one while it runs. Each limit shows itself in its own way.

const overSse = sseBy('GET')

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
let cuts: string[]
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table people (id int primary key, name text);
    create table pets (id int primary key, owner int references people, name text);
    create index on pets (owner);
    insert into people select i, 'n' || i from generate_series(1, 20) i;
    insert into pets select i, 1 + i % 3, 'p' || i from generate_series(1, 20) i`)
  await log.watch('people')
  await log.watch('pets')
})
afterEach(() => server?.close())
afterAll(async () => {
  await roles?.drop()
  await log?.close()
})

interface Case {
  readonly value: number
  /** What shows that the limit is exceeded; undefined: it is not. */
  readonly sign: () => Promise<unknown>
  readonly expected: unknown
  /** The server waits for as long as the limit says. */
  readonly isWait?: true
  /** Default: no others. */
  readonly with?: () => ServerOptions
}

type Limit = Exclude<
  Extract<ReloadableKey, `max${string}` | `${string}Timeout` | `${string}Rate`>,
  'maxLogSize' // in test/e2e/reload/reload.test.ts
>

interface Failed {
  readonly errors?: readonly { readonly extensions?: { readonly code?: string; readonly limit?: string } }[]
}
/** The limit, or else the code, of the first error. */
function refusalIn(result: unknown): string | undefined {
  const extensions = (result as Failed).errors?.[0]?.extensions
  return extensions?.limit ?? extensions?.code
}
const asked = (text: string, token?: string) => async () =>
  refusalIn(await resultOf(server.url, text, { token }))
const first = (text: string) => async () => {
  const subscription = await overGraphqlWs(server.url, text)
  const result = await subscription.results.next('the first result')
  await subscription.close()
  return refusalIn(result)
}
/** Whether a second one is refused while a first one is open. */
async function besides<T>(open: () => Promise<{ close(): unknown }>, second: () => Promise<T>): Promise<T> {
  const kept = await open()
  const sign = await second()
  await kept.close()
  return sign
}
const idle = async () => {
  const { socket, closed } = await openConnection(server.url)
  return {
    async close() {
      socket.destroy()
      await closed
    },
  }
}
const viewers = (): ServerOptions => ({ jwtSecret: SECRET, anonymousRole: roles.anonymous, channels: ['*'] })
const listening = async (channel: string) =>
  overSse(
    server.url,
    `subscription { channel(name: "${channel}") { payload } }`,
    {},
    { token: await viewer() },
  )
const viewer = () => sign({ role: roles.user, sub: 'a' })

const CASES: Readonly<Record<Limit, Case>> = {
  maxDocument: { value: 30, sign: asked('{ people { rows { id name } } }'), expected: 'maxDocument' },
  maxTokens: { value: 5, sign: asked('{ people { rows { id name } } }'), expected: 'maxTokens' },
  maxDepth: { value: 2, sign: asked('{ people { rows { id } } }'), expected: 'maxDepth' },
  maxAliases: { value: 1, sign: asked('{ a: people { b: cursor } }'), expected: 'maxAliases' },
  maxFilterDepth: {
    value: 1,
    sign: asked('{ people(where: {not: {not: {id: {eq: 1}}}}) { cursor } }'),
    expected: 'maxFilterDepth',
  },
  maxFilterConditions: {
    value: 1,
    sign: asked('{ people(where: {id: {gt: 1, lt: 5}}) { cursor } }'),
    expected: 'maxFilterConditions',
  },
  maxFilterValues: {
    value: 1,
    sign: asked('{ people(where: {id: {in: [1, 2]}}) { cursor } }'),
    expected: 'maxFilterValues',
  },
  maxFilterText: {
    value: 3,
    sign: asked('{ people(where: {name: {eq: "four"}}) { cursor } }'),
    expected: 'maxFilterText',
  },
  maxRows: { value: 10, sign: asked('{ people(limit: 11) { cursor } }'), expected: 'maxRows' },
  maxRelatedRows: {
    value: 3,
    sign: asked('{ people { rows { pets(limit: 4) { id } } } }'),
    expected: 'maxRelatedRows',
  },
  maxRelationDepth: {
    value: 1,
    sign: asked('{ people { rows { pets { owner: peopleByOwner { name } } } } }'),
    expected: 'maxRelationDepth',
  },
  maxRelations: {
    value: 1,
    sign: asked('{ people { rows { a: pets { id } b: pets { name } } } }'),
    expected: 'maxRelations',
  },
  maxSnapshot: { value: 100, sign: asked('{ people { rows { id name } } }'), expected: 'RESULT_TOO_LARGE' },
  maxLiveRows: {
    value: 3,
    sign: first('subscription { people(limit: 4) { rows { id } } }'),
    expected: 'maxLiveRows',
  },
  maxLiveResult: {
    value: 50,
    sign: first('subscription { people { rows { id name } } }'),
    expected: 'RESULT_TOO_LARGE',
  },
  maxLiveQueries: {
    value: 1,
    sign: () =>
      besides(async () => {
        const subscription = await overGraphqlWs(server.url, 'subscription { people { rows { id } } }')
        await subscription.results.next('the result')
        return subscription
      }, first('subscription { pets { rows { id } } }')),
    expected: 'maxLiveQueries',
  },
  maxEvent: {
    value: 100,
    async sign() {
      const subscription = await overSse(server.url, 'subscription { channel(name: "large") { payload } }')
      await log.query(`select pg_notify('large', repeat('x', 200))`)
      const result = await subscription.results.next('the event')
      await subscription.close()
      return refusalIn(result)
    },
    expected: 'EVENT_TOO_LARGE',
  },
  maxMessage: {
    value: 300,
    async sign() {
      const { status } = await post(server.url, { query: `{ channels } # ${'x'.repeat(300)}` })
      const socket = await openWebSocket(server.url, '/graphql', 'graphql-transport-ws')
      socket.send('x'.repeat(301))
      const { code } = await socket.closed
      return [status, code]
    },
    expected: [413, 1009],
  },
  maxUrl: {
    value: 300,
    sign: async () => (await send(server.url, { path: `/healthz?${'x'.repeat(300)}` })).status,
    expected: 414,
  },
  maxConnections: {
    value: 1,
    // Not /healthz, which is answered even then.
    sign: () => besides(idle, async () => (await send(server.url, { path: '/nothing' })).status),
    expected: 503,
  },
  maxConnectionsPerAddress: {
    value: 1,
    sign: () => besides(idle, async () => (await send(server.url, { path: '/healthz' })).status),
    expected: 429,
  },
  maxConnectionsPerViewer: {
    value: 1,
    with: viewers,
    sign: () =>
      besides(
        () => listening('one'),
        () =>
          listening('two').then(
            other => other.close(),
            error => /maxConnectionsPerViewer/.exec(error.message)?.[0],
          ),
      ),
    expected: 'maxConnectionsPerViewer',
  },
  maxSubscriptionsPerViewer: {
    value: 1,
    with: viewers,
    sign: () =>
      besides(
        () => listening('one'),
        async () => {
          const other = await listening('two')
          await log.query(`select pg_notify('two', 'event')`)
          const sign = refusalIn(await other.results.next('a refusal or an event'))
          await other.close()
          return sign
        },
      ),
    expected: 'maxSubscriptionsPerViewer',
  },
  maxSubscriptionsPerConnection: {
    value: 1,
    async sign() {
      const client = await openGraphql(server.url)
      await client.listen('1', 'one')
      client.send({ id: '2', type: 'subscribe', payload: { query: '{ channels }' } })
      const { payload } = await client.next('an answer')
      client.webSocket.terminate()
      return refusalIn({ errors: Array.isArray(payload) ? payload : [] })
    },
    expected: 'maxSubscriptionsPerConnection',
  },
  subscribeRate: {
    value: 1,
    with: () => ({ maxSubscriptionsPerConnection: 1 }),
    async sign() {
      const client = await openGraphql(server.url)
      const signs: unknown[] = []
      for (let id = 0; id < 5; id++) {
        client.send({ id: `${id}`, type: 'subscribe', payload: { query: '{ channels }' } })
        const { type, payload } = await client.next('an answer')
        if (type === 'error') signs.push(refusalIn({ errors: payload }))
        else await client.next('complete')
      }
      client.webSocket.terminate()
      return signs[0]
    },
    expected: 'subscribeRate',
  },
  filterRate: {
    value: 1,
    async sign() {
      const text = 'subscription { peopleChanged(where: {name: {like: "%x%y%"}}) { operation } }'
      const subscription = await overGraphqlWs(server.url, text)
      await log.query(`update people set name = repeat('x', 1000) || 'y' where id = 20;
        update people set name = repeat('x', 1001) || 'y' where id = 20`)
      const results = await subscription.results.take(2, 'changes or a refusal').catch(() => [])
      await subscription.close()
      return results.map(refusalIn).find(sign => sign !== undefined)
    },
    expected: 'filterRate',
  },
  maxClientMemory: {
    value: 1000,
    sign: async () => refusalIn(JSON.parse((await post(server.url, { query: '{ channels }' })).body)),
    expected: 'maxClientMemory',
  },
  maxBuffer: {
    value: 1000,
    async sign() {
      const before = cuts.length
      const witness = await overSse(server.url, 'subscription { channel(name: "last") { payload } }')
      const { socket, until } = await openConnection(server.url)
      const text = encodeURIComponent('subscription { channel(name: "full") { payload } }')
      socket.write(
        `GET /graphql?query=${text} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`,
      )
      await until('\r\n\r\n')
      socket.pause()
      // More than the sockets of the system hold, and less than the former limit.
      await log.query(`select pg_notify('full', repeat('x', 7000) || i) from generate_series(1, 2000) i`)
      await log.query(`notify last, 'all have been sent'`)
      await witness.results.next('the event after them')
      await witness.close()
      socket.destroy()
      return cuts[before]
    },
    expected: 'buffer-full',
  },
  headersTimeout: {
    value: 100,
    isWait: true,
    sign: async () => (await exchange(server.url, 'GET /healthz HTTP/1.1\r\n')).slice(0, 12),
    expected: 'HTTP/1.1 408',
  },
  requestTimeout: {
    value: 100,
    isWait: true,
    sign: async () => (await exchange(server.url, 'GET /healthz HTTP/1.1\r\n')).slice(0, 12),
    expected: 'HTTP/1.1 408',
  },
  idleTimeout: {
    value: 1000,
    async sign() {
      const { socket, until } = await openConnection(server.url)
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
      const head = await until('\r\n\r\n')
      socket.destroy()
      return /keep-alive: (timeout=\d+)/i.exec(head)?.[1]
    },
    expected: 'timeout=1',
  },
  connectionInitTimeout: {
    value: 100,
    isWait: true,
    async sign() {
      const client = await openGraphql(server.url, { init: false })
      return (await client.closed).code
    },
    expected: 4408,
  },
}

describe('a limit that a reload changes', () => {
  it.each(Object.entries(CASES))('%s applies to what comes later', async (key, one) => {
    const { value, sign, expected, isWait } = one
    const options: ServerOptions = {
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      logLevel: 'silent',
      ...one.with?.(),
    }
    cuts = []
    server = await createServer({
      ...options,
      observe(observation) {
        if (observation.type === 'subscriber.cut') cuts.push(observation.reason)
      },
    })
    if (!isWait) expect(await sign()).not.toEqual(expected)
    expect(server.reload({ ...options, [key]: value })).toEqual({ changed: [key], needsRestart: [] })
    // The limits of the schema apply once it has been built again.
    await expect.poll(sign, { timeout: 20_000 }).toEqual(expected)
    expect(server.reload(options)).toEqual({ changed: [key], needsRestart: [] })
    if (!isWait) await expect.poll(sign, { timeout: 20_000 }).not.toEqual(expected)
  })
})
