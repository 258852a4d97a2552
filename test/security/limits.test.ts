import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import {
  channelQuery,
  exchange,
  handshake,
  openConnection,
  openGraphql,
  openWebSocket,
  post,
  type RawConnection,
  send,
} from '../support/raw.js'
import { SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { VIEWER_TRANSPORTS } from '../support/viewer-transports.js'
import { waitUntil } from '../support/wait.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

// A client over a limit gets an error that names the limit, and no other client is affected. Every server has a healthy subscriber on
// each transport (startWitnessed), which is checked after every test.

let log: TestLog
let server: WitnessedServer | undefined
beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (id int primary key, name text)')
  await log.query(`insert into people select i, 'n' || i from generate_series(1, 20) i`)
  await log.watch('people')
})
afterEach(async () => {
  await server?.expectHealthy()
  await server?.expectNothingLeft()
  await server?.close()
  server = undefined
})
afterAll(() => log?.close())

async function start(options: ServerOptions): Promise<WitnessedServer> {
  server = await startWitnessed(log.database, { catalogInterval: 50, ...options })
  return server
}

interface Refusal {
  readonly message: string
  readonly extensions?: Record<string, unknown>
}
const errorsOf = (body: unknown) =>
  ((typeof body === 'string' ? JSON.parse(body) : body) as { errors?: Refusal[] }).errors ?? []
const exceeded = (limit: string, max: number) => ({ code: 'LIMIT_EXCEEDED', limit, max })

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('a document, over %s', (name, subscribe) => {
  /** The answer to a document that the server refuses. */
  async function refused(url: string, document: string): Promise<unknown> {
    if (name === 'multipart')
      return (await post(url, { query: document }, { accept: 'multipart/mixed;subscriptionSpec=1.0' })).body
    const subscription = await subscribe(url, document)
    const result = await subscription.results.next()
    await subscription.close()
    return result
  }
  const deep = (levels: number) =>
    `subscription { channel(name: "x") { ${'...on ChannelEvent{'.repeat(levels)}gap${'}'.repeat(levels)} } }`
  const introspect = '{ __schema { types { name fields { name type { name } } } } }'

  it.each<[string, ServerOptions, string, ReturnType<typeof exceeded>]>([
    ['too deep', { maxDepth: 4 }, introspect, exceeded('maxDepth', 4)],
    [
      'too deep by fragments',
      { maxDepth: 4 },
      `{ __schema { ...A } } fragment A on __Schema { types { ...B } } fragment B on __Type { fields { ...C } } fragment C on __Field { type { name } }`,
      exceeded('maxDepth', 4),
    ],
    [
      'with too many aliases',
      { maxAliases: 3 },
      '{ a: channels b: channels c: channels d: channels }',
      exceeded('maxAliases', 3),
    ],
    [
      'with fragments that make many aliases',
      { maxAliases: 100 },
      `{ ...F0 } ${Array.from({ length: 40 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join(' ')} fragment F40 on Query { x: channels }`,
      exceeded('maxAliases', 100),
    ],
    ['with too many tokens', { maxTokens: 60 }, `{ ${'channels '.repeat(90)} }`, exceeded('maxTokens', 60)],
    ['too long', { maxDocument: 200 }, `# ${'ü'.repeat(100)}\n{ channels }`, exceeded('maxDocument', 200)],
  ])('%s is refused', async (_what, options, document, expected) => {
    const { url } = await start(options)
    for (let twice = 0; twice < 2; twice++) {
      const answer = await refused(url, document)
      expect(errorsOf(answer)).toMatchObject([{ extensions: expected }])
    }
    const answer = await post(url, { query: document }, { accept: 'application/json' })
    expect(errorsOf(answer.body)).toMatchObject([{ extensions: expected }])
  })

  it('may reach the limits exactly', async () => {
    const { url } = await start({ maxDepth: 2, maxAliases: 1, maxTokens: 400 })
    const subscription = await subscribe(url, deep(50).replace('gap', 'a: gap'))
    await log.query(`select pg_notify('x', 'y')`)
    expect(await subscription.results.next()).toMatchObject({ data: { channel: { a: false } } })
    await subscription.close()
  })

  it('may have only one root field if it is a subscription', async () => {
    const { url } = await start({})
    const document = 'subscription { a: channel(name: "x") { gap } b: channel(name: "y") { gap } }'
    const answer = await refused(url, document)
    expect(errorsOf(answer)[0]?.message).toMatch(/must select only one top level field/)
  })
})

describe('a filter and a snapshot', () => {
  it.each<[string, ServerOptions, string, ReturnType<typeof exceeded>]>([
    ['values', { maxFilterValues: 3 }, '(where: {id: {in: [1, 2, 3, 4]}})', exceeded('maxFilterValues', 3)],
    ['depth', { maxFilterDepth: 1 }, '(where: {not: {not: {id: {eq: 1}}}})', exceeded('maxFilterDepth', 1)],
    [
      'conditions',
      { maxFilterConditions: 2 },
      '(where: {id: {gt: 1, lt: 5, neq: 3}})',
      exceeded('maxFilterConditions', 2),
    ],
    ['text', { maxFilterText: 5 }, '(where: {name: {eq: "123456"}})', exceeded('maxFilterText', 5)],
    [
      'columns to sort by',
      { maxFilterConditions: 2 },
      '(orderBy: [{id: ASC}, {id: ASC}, {id: ASC}])',
      exceeded('maxFilterConditions', 2),
    ],
    ['rows', { maxRows: 10 }, '(limit: 11)', exceeded('maxRows', 10)],
  ])('has limits: %s', async (what, options, args, expected) => {
    const { url } = await start(options)
    const rows = await post(url, { query: `{ people${args} { rows { id } } }` })
    expect(errorsOf(rows.body)).toMatchObject([{ extensions: expected }])
    if (what === 'rows' || what.startsWith('columns')) return
    const changes = `subscription { peopleChanged${args} { operation } }`
    const answer = await post(url, { query: changes }, { accept: 'text/event-stream' })
    expect(answer.body).toContain('LIMIT_EXCEEDED')
    expect(answer.body).toContain(expected.limit)
  })

  it('has a lower default limit if --max-rows is below it', async () => {
    const { url } = await start({ maxRows: 7 })
    const { body } = await post(url, { query: '{ people { rows { id } } }' })
    expect(JSON.parse(body).data.people.rows).toHaveLength(7)
  })

  it('is refused beyond --max-snapshot', async () => {
    const { url } = await start({ maxSnapshot: 100 })
    const { body } = await post(url, { query: '{ people { rows { id name } } }' })
    expect(errorsOf(body)).toMatchObject([{ extensions: { code: 'RESULT_TOO_LARGE' } }])
  })
})

describe('one WebSocket', () => {
  it('has at most the configured number of subscriptions, and room again when one has ended', async () => {
    const { url } = await start({ maxSubscriptionsPerConnection: 3 })
    const client = await openGraphql(url)
    for (const id of ['1', '2', '3']) await client.listen(id, `limited ${id}`)
    client.send({ id: '4', type: 'subscribe', payload: { query: channelQuery('limited 4') } })
    expect(await client.next()).toMatchObject({
      id: '4',
      type: 'error',
      payload: [{ extensions: exceeded('maxSubscriptionsPerConnection', 3) }],
    })
    client.send({ id: '1', type: 'complete' })
    await client.listen('4', 'limited 4')
    await log.query(`select pg_notify('limited 2', 'still here')`)
    expect(await client.next()).toMatchObject({ id: '2', type: 'next' })
    client.webSocket.terminate()
    await client.closed
  })

  it('begins at most the configured number of operations per second', async () => {
    const { url } = await start({ maxSubscriptionsPerConnection: 5, subscribeRate: 1 })
    const client = await openGraphql(url)
    for (let i = 0; i < 40; i++)
      client.send({ id: `${i}`, type: 'subscribe', payload: { query: '{ channels }' } })
    const codes: unknown[] = []
    for (let ended = 0; ended < 40; ) {
      const { type, payload } = await client.next()
      if (type === 'error' || type === 'complete') ended++
      if (type === 'error') codes.push((payload as Refusal[])[0]?.extensions)
    }
    expect(codes).toContainEqual(expect.objectContaining(exceeded('subscribeRate', 1)))
    client.webSocket.terminate()
    await client.closed
  })

  it('sends connection_init in time, or is closed with 4408', async () => {
    const { url } = await start({ connectionInitTimeout: 100 })
    const client = await openGraphql(url, { init: false })
    expect(await client.closed).toMatchObject({ code: 4408 })
  })
})

describe('one address', () => {
  /** There are five witnesses. */
  const WITNESSES = 5
  const keepOpen = async (url: string, count: number) => {
    const idle: RawConnection[] = []
    for (let i = 0; i < count; i++) idle.push(await openConnection(url))
    return idle
  }

  it('has at most the configured number of connections, whatever their purpose', async () => {
    const { url, ofType } = await start({ maxConnectionsPerAddress: WITNESSES + 3 })
    const idle = await keepOpen(url, 3)
    const answer = await post(url, { query: '{ channels }' })
    expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '1' } })
    expect(errorsOf(answer.body)).toMatchObject([
      { extensions: exceeded('maxConnectionsPerAddress', WITNESSES + 3) },
    ])
    expect((await send(url, { path: '/' })).status).toBe(429)
    for (const path of ['/graphql', '/listen/x']) {
      const refused = await exchange(url, handshake(url, path))
      expect(refused).toMatch(/^HTTP\/1.1 429 /)
      expect(refused).toContain('LIMIT_EXCEEDED maxConnectionsPerAddress')
    }
    expect(ofType('request.refused')).toHaveLength(1) // the log is not flooded
    for (const { socket } of idle) socket.destroy()
    await waitUntil(async () => (await post(url, { query: '{ channels }' })).status === 200, 'room')
  })

  it('cannot evade that by pipelining requests over one connection', async () => {
    const { url } = await start({ maxConnectionsPerAddress: WITNESSES + 3 })
    const target = `/graphql?query=${encodeURIComponent(channelQuery('pipelined'))}`
    const request = `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`
    const connection = await openConnection(url)
    connection.socket.write(request.repeat(20))
    await waitUntil(() => server?.ofType('request.refused').some(({ status }) => status === 429), 'refusals')
    const joined = () =>
      server?.ofType('subscriber.joined').filter(({ topic }) => topic === 'pipelined').length
    await expect.poll(joined).toBeGreaterThan(0)
    // The connection itself, and the requests that may still be pipelined.
    expect(joined()).toBeLessThanOrEqual(3)
    connection.socket.destroy()
  })

  it('is that of the client if a trusted proxy names it', async () => {
    const { url } = await start({
      maxConnectionsPerAddress: WITNESSES,
      trustProxy: ['127.0.0.1', '::1', '10.0.0.0/8'],
    })
    const sse = (from: string) =>
      `GET /graphql?query=${encodeURIComponent(channelQuery('proxied'))} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-Forwarded-For: ${from}\r\n\r\n`
    const streams = await keepOpen(url, 6)
    const forwarded = [
      '203.0.113.7, 10.1.2.3',
      '1.2.3.4, 203.0.113.7',
      '203.0.113.7:80',
      '203.0.113.7, 127.0.0.1',
      '::ffff:203.0.113.7',
      '203.0.113.8',
    ]
    for (const [i, from] of forwarded.entries()) {
      streams[i]?.socket.write(sse(from))
      await streams[i]?.until('200 OK')
    }
    const [again, other] = await keepOpen(url, 2)
    again?.socket.write(sse('203.0.113.7'))
    expect(await again?.closed).toMatch(/^HTTP\/1.1 429 /)
    other?.socket.write(sse('203.0.113.9'))
    await other?.until('200 OK')
    const remotes = server
      ?.ofType('subscriber.joined')
      .flatMap(({ topic, remote }) => (topic === 'proxied' ? [remote] : []))
    expect(remotes?.map(remote => remote.replace(/:\d+$/, ''))).toEqual([
      ...Array(5).fill('203.0.113.7'),
      '203.0.113.8',
      '203.0.113.9',
    ])
    for (const stream of [...streams, other]) stream?.socket.destroy()
  })

  it('is not taken from the header of a client that is not a trusted proxy', async () => {
    const { url } = await start({ maxConnectionsPerAddress: WITNESSES + 1, trustProxy: ['10.0.0.0/8'] })
    const [idle] = await keepOpen(url, 1)
    const answer = await send(url, { path: '/healthz', headers: { 'x-forwarded-for': '203.0.113.7' } })
    expect(answer.status).toBe(429)
    idle?.socket.destroy()
    await waitUntil(async () => (await send(url, { path: '/healthz' })).status === 200, 'room')
  })
})

describe('a request', () => {
  it('has a URL of at most the configured length', async () => {
    const { url } = await start({ maxUrl: 300 })
    const path = `/graphql?query=${'x'.repeat(300)}`
    const answer = await send(url, { path })
    expect(answer.status).toBe(414)
    expect(errorsOf(answer.body)).toMatchObject([{ extensions: exceeded('maxUrl', 300) }])
    expect(await exchange(url, handshake(url, path))).toMatch(/^HTTP\/1.1 414 .*LIMIT_EXCEEDED maxUrl/s)
  })

  it('has headers of at most the configured length', async () => {
    const { url } = await start({ maxHeaders: 2000 })
    const headers = { 'x-large': 'x'.repeat(2000) }
    expect((await send(url, { path: '/healthz', headers })).status).toBe(431)
    expect(await exchange(url, handshake(url, '/graphql', headers))).toMatch(/^HTTP\/1.1 431 /)
  })

  it('sends its headers and its body in time', async () => {
    const { url } = await start({ headersTimeout: 200, requestTimeout: 400 })
    const head = 'POST /graphql HTTP/1.1\r\nHost: localhost\r\n'
    expect(await exchange(url, head)).toMatch(/^HTTP\/1.1 408 /)
    const body = 'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{'
    expect(await exchange(url, head + body)).toMatch(/^HTTP\/1.1 408 |^$/)
  })

  it('is accepted on a connection that was idle for longer than a load balancer keeps it', async () => {
    const { url } = await start({ headersTimeout: 200 })
    const kept = await openConnection(url)
    const get = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    kept.socket.write(get)
    expect((await kept.until('"ok"')).toLowerCase()).toContain('\r\nkeep-alive: timeout=75\r\n')
    // The time for headers runs from the first byte: another connection is refused in the meantime.
    expect(await exchange(url, 'GET /healthz HTTP/1.1\r\n')).toMatch(/^HTTP\/1.1 408 /)
    kept.socket.write(get.replace('healthz', 'readyz'))
    await kept.until('"ready"')
    kept.socket.destroy()
  })

  it.each([
    '/',
    '/healthz',
    '/nowhere',
    '/listen/people',
    '/listen/%',
    '/graphql',
    '/graphql?query={channels}',
  ])('with Connection: close has its connection closed with the answer: %s', async path => {
    const { url } = await start({})
    const get = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
    expect(await exchange(url, get)).toMatch(/^HTTP\/1.1 \d{3} .*\r\nconnection: (upgrade, )?close\r\n/is)
  })

  it('has to arrive before an idle connection times out', async () => {
    const { url } = await start({ idleTimeout: 1000 })
    const answer = await exchange(url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(answer.toLowerCase()).toContain('\r\nkeep-alive: timeout=1\r\n')
  })

  it('has a body of at most the configured length', async () => {
    const { url } = await start({ maxMessage: 300 })
    const answer = await post(url, { query: `{ channels } # ${'x'.repeat(300)}` })
    expect(answer.status).toBe(413)
    expect(errorsOf(answer.body)).toMatchObject([{ extensions: exceeded('maxMessage', 300) }])
    const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
    socket.send('x'.repeat(301))
    expect(await socket.closed).toMatchObject({ code: 1009 })
  })
})

describe('one viewer', () => {
  let roles: TestRoles
  beforeAll(async () => {
    roles = await createRoles(log)
  })
  afterAll(() => roles?.drop())

  const token = (sub: string) => sign({ role: roles.user, sub, jti: `${Math.random()}` })
  const startWithRoles = (options: ServerOptions) =>
    start({ jwtSecret: SECRET, anonymousRole: roles.anonymous, channels: ['*'], ...options })

  it.each(VIEWER_TRANSPORTS.map(transport => [transport.name, transport] as const))(
    'has at most the configured number of connections, over %s, and takes none from others',
    async (name, transport) => {
      const { url } = await startWithRoles({ maxConnectionsPerViewer: 8 })
      const open = async (sub: string) => transport.listen(url, 'viewer', await token(sub))
      const kept = await Promise.all(Array.from({ length: 8 }, () => open('a')))
      expect(kept.map(({ kind }) => kind)).toEqual(Array(8).fill('open'))
      const refused = await open('a')
      if (refused.kind === 'open') {
        expect(name).toBe('/listen') // the handshake has already succeeded
        expect(await refused.subscription.ended).toBe('1013')
      } else {
        expect(refused.code).toBe(name === 'graphql-ws' ? 1013 : 429)
        if (name !== 'graphql-ws') {
          expect(errorsOf(refused.text)).toMatchObject([
            { extensions: exceeded('maxConnectionsPerViewer', 8) },
          ])
        }
      }
      const other = await open('b')
      expect(other.kind).toBe('open')
      await log.query(`select pg_notify('viewer', 'x')`)
      for (const attempt of [...kept, other]) {
        if (attempt.kind !== 'open') continue
        await attempt.subscription.results.next()
        await attempt.subscription.close()
      }
      await waitUntil(async () => {
        const again = await open('a')
        if (again.kind === 'open') await again.subscription.close()
        return again.kind === 'open'
      }, 'room')
    },
  )

  it('has at most the configured number of subscriptions, over all connections together', async () => {
    const { url } = await startWithRoles({ maxSubscriptionsPerViewer: 6 })
    const [graphqlWs, get] = VIEWER_TRANSPORTS
    if (!graphqlWs || !get) throw new Error('no transports')
    const kept = []
    for (let i = 0; i < 6; i++)
      kept.push(await (i % 2 ? graphqlWs : get).listen(url, `many ${i}`, await token('a')))
    for (const transport of [graphqlWs, get]) {
      const refused = await transport.listen(url, 'many', await token('a'))
      if (refused.kind !== 'open') throw new Error(refused.text)
      expect(errorsOf(await refused.subscription.results.next())).toMatchObject([
        { extensions: exceeded('maxSubscriptionsPerViewer', 6) },
      ])
      await refused.subscription.close()
    }
    for (const attempt of kept) if (attempt.kind === 'open') await attempt.subscription.close()
  })
})
