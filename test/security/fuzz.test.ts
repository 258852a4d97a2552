import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation } from '../../src/index.js'
import type { TestSubscription } from '../support/clients.js'
import { GRAPHQL_TRANSPORTS } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { frame, handshake, openConnection } from '../support/raw.js'
import { SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'

// Viewers with and without tokens send random requests, up to the limits and beyond, while one viewer on each transport follows a table
// and a channel. That viewer must get every event, in order, and nothing else. A failure prints its seed and path;
// `fc.assert(…, { seed, path })` repeats it. (test/property/fuzz.test.ts does the same to a server without viewers.)

/** Time for each of the properties below, in ms. */
const TIME = 4000
/** The most memory that the server may still hold after all these requests, in bytes. */
const KEPT = 48 * 2 ** 20

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
let good: string
const observations: Observation[] = []
const healthy: TestSubscription[] = []
let ended = 0
let written = 0

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table notes (id int primary key, owner text, body text);
    create table hidden (id int primary key);
    alter table notes enable row level security;
    create policy mine on notes using (owner = current_setting('request.jwt.claims')::json ->> 'sub');
    grant select on notes to ${roles.user}`)
  await log.watch('notes', 'hidden')
  good = await sign({ role: roles.user, sub: 'healthy' })
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    anonymousRole: roles.anonymous,
    roleChannels: { [roles.user]: ['witness', 'fuzz*'], [roles.anonymous]: ['fuzz'] },
    rolePublish: { [roles.user]: ['fuzz*'] },
    tokenCookie: 'session',
    trustProxy: ['127.0.0.1'],
    policyTimeout: 10_000,
    maxMessage: 20_000,
    maxDepth: 6,
    maxAliases: 5,
    maxTokens: 300,
    maxConnectionsPerAddress: 20,
    maxSubscriptionsPerConnection: 5,
    subscribeRate: 5,
    observe: observation => observations.push(observation),
  })
  for (const subscribe of Object.values(GRAPHQL_TRANSPORTS)) {
    for (const query of [
      'subscription { notesChanged(operations: [INSERT]) { row { body } } }',
      'subscription { channel(name: "witness") { payload } }',
    ]) {
      const subscription = await subscribe(server.url, query, {}, { token: good })
      void subscription.ended.then(() => ended++)
      healthy.push(subscription)
    }
  }
})
afterAll(async () => {
  for (const { close } of healthy) await close()
  await server?.close()
  await roles?.drop()
  await log?.close()
})

/** The event that a healthy subscriber got, from a table or a channel. */
function shownBy(result: Record<string, unknown>): unknown {
  const { data } = result as {
    data?: { notesChanged?: { row: { body: string } }; channel?: { payload: string } }
  }
  return data?.notesChanged?.row.body ?? data?.channel?.payload ?? result
}

async function expectHealthy(): Promise<void> {
  const values = Array.from({ length: 3 }, () => `event ${++written}`)
  for (const value of values) {
    await log.query(`insert into notes values ($1, 'somebody else', 'not for you'), ($2, 'healthy', $3)`, [
      -written * 10 - Number(value.slice(6)),
      Number(value.slice(6)),
      value,
    ])
    await log.query('select pg_notify($1, $2)', ['witness', value])
  }
  for (const { results } of healthy) expect((await results.take(values.length)).map(shownBy)).toEqual(values)
  expect(ended).toBe(0)
}

function kept(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed + process.memoryUsage().external
}

/** Checks the healthy subscribers repeatedly while the property runs; afterwards no other subscriber is left, and little memory is in use. */
function holds<T extends unknown[]>(property: fc.IAsyncProperty<T>): () => Promise<void> {
  return async () => {
    const before = kept()
    let over = false
    const watching = (async () => {
      do await expectHealthy()
      while (!over)
    })()
    try {
      await Promise.race([
        fc.assert(property, { numRuns: 5000, interruptAfterTimeLimit: TIME, endOnFailure: true }),
        watching,
      ])
    } finally {
      over = true
      await watching
    }
    const count = (type: Observation['type']) => observations.filter(one => one.type === type).length
    await waitUntil(
      () => count('subscriber.joined') - count('subscriber.left') === healthy.length,
      'the others to leave',
    )
    expect(
      observations.filter(({ type }) => type === 'fault' || type === 'log.lost' || type === 'policies.lost'),
    ).toEqual([])
    observations.splice(
      0,
      observations.length,
      ...observations.filter(({ type }) => /subscriber\.(joined|left)/.test(type)),
    )
    expect(kept() - before).toBeLessThan(KEPT)
  }
}

/** @param from the client's address, as a proxy names it */
async function attack(pieces: readonly (string | Buffer)[], wait?: 'answer' | 'closed'): Promise<void> {
  const connection = await openConnection(server.url)
  for (const piece of pieces) if (connection.socket.writable) connection.socket.write(piece)
  if (wait === 'closed') await connection.closed
  if (wait === 'answer') await connection.until('\r\n\r\n')
  connection.socket.end()
  connection.socket.destroySoon()
  await new Promise<void>(resolve => {
    if (connection.socket.closed) resolve()
    else connection.socket.once('close', () => resolve())
  })
  const text = connection.text()
  expect(text).not.toMatch(
    /\n {4}at |node_modules|\/work\/|postgres:\/\/|INTERNAL_SERVER_ERROR|^HTTP\/1.1 500/,
  )
  expect(text).not.toMatch(/not for you|of more than 32 bytes/)
}

const word = fc.oneof(
  fc.constantFrom(
    'notes',
    'hidden',
    'notesChanged',
    'channel',
    'channels',
    'rows',
    'row',
    'body',
    'id',
    'cursor',
    '__schema',
    '__typename',
    'watchedTables',
  ),
  fc.stringMatching(/^[a-z_]{1,8}$/),
)
const value: fc.Arbitrary<string> = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1', '-1e99', '"x"', '"""\n"""', 'null', 'true', 'INSERT', '$v', '[]', '{}', '"fuzz"'),
    fc.json().map(text => JSON.stringify(text)),
    fc.array(tie('value'), { maxLength: 3 }).map(items => `[${items.join(',')}]`),
    fc
      .tuple(fc.constantFrom('and', 'or', 'not', 'id', 'body', 'in', 'eq', 'like'), tie('value'))
      .map(([name, inner]) => `{${name}: ${inner}}`),
  ),
})).value
const selection: fc.Arbitrary<string> = fc.letrec<{ selection: string }>(tie => ({
  selection: fc.oneof(
    { maxDepth: 6 },
    word,
    fc
      .tuple(
        fc.constantFrom('', 'a: ', 'b: '),
        word,
        fc.constantFrom('where', 'name', 'after', 'limit', 'orderBy', 'operations'),
        value,
        tie('selection'),
      )
      .map(
        ([alias, field, argument, given, inner]) => `${alias}${field}(${argument}: ${given}) { ${inner} }`,
      ),
    fc.tuple(word, tie('selection')).map(([field, inner]) => `${field} { ${inner} }`),
    fc.tuple(tie('selection'), tie('selection')).map(both => both.join(' ')),
    fc.constantFrom('...F', '... on Query { channels }', '...F @include(if: $v)'),
  ),
})).selection
const document = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('', 'query ', 'query ($v: String) ', 'subscription ', 'mutation '),
      selection,
      fc.constantFrom('', ' fragment F on Query { ...F }', ' fragment F on Note { id }'),
    )
    .map(([kind, inner, rest]) => `${kind}{ ${inner} }${rest}`),
  fc.constantFrom(
    'subscription { notesChanged { row { body } } }',
    'subscription { channel(name: "fuzz") { payload } }',
    '{ notes { rows { id body } } }',
    '{ notes(where: {body: {eq: "not for you"}}) { rows { body } } }',
    'mutation { notify(channel: "fuzz", payload: "x") }',
  ),
  fc.string({ unit: 'grapheme' }),
)
const params = fc.record(
  {
    query: document,
    variables: fc.oneof(fc.record({ v: fc.jsonValue() }), fc.jsonValue()),
    operationName: fc.jsonValue(),
    extensions: fc.oneof(fc.record({ after: fc.jsonValue() }), fc.jsonValue()),
  },
  { requiredKeys: ['query'] },
)
/** Valid tokens, no token, and many kinds of invalid tokens. */
const credential = fc.oneof(
  { weight: 6, arbitrary: fc.constant(() => good) },
  fc.constant(() => `${good.slice(0, -2)}xx`),
  fc.nat(200).map(at => () => good.slice(0, at)),
  fc.stringMatching(/^[!-~]{0,60}$/).map(text => () => text),
  fc
    .jsonValue()
    .map(
      json => () =>
        `${Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')}.${Buffer.from(JSON.stringify(json)).toString('base64url')}.`,
    ),
)
const address = fc.oneof(
  fc.constantFrom(
    '203.0.113.7',
    '203.0.113.7, 127.0.0.1',
    '::1',
    'unknown',
    ',',
    '1.2.3.4:5',
    '[2001:db8::1]:80',
  ),
  fc.ipV4(),
  fc.ipV6(),
)
const PROTOCOL = 'graphql-transport-ws'
const BYE = frame(8, Buffer.from([0x03, 0xe8]))

describe('healthy subscribers are not affected', () => {
  it(
    'by any messages over graphql-ws',
    holds(
      fc.asyncProperty(
        fc.oneof(
          credential.map(make => ({ Authorization: make })),
          fc.constant({}),
        ),
        fc.array(
          fc.oneof(
            {
              weight: 6,
              arbitrary: fc.record({
                id: fc.constantFrom('1', '2', '3'),
                type: fc.constant('subscribe'),
                payload: params,
              }),
            },
            {
              weight: 1,
              arbitrary: fc.record({ id: fc.constantFrom('1', '2', '3'), type: fc.constant('complete') }),
            },
            { weight: 1, arbitrary: fc.jsonValue() },
          ),
          { maxLength: 15 },
        ),
        address,
        fc.boolean(),
        async (login, messages, from, waits) => {
          const payload = 'Authorization' in login ? { Authorization: login.Authorization() } : undefined
          const texts = [{ type: 'connection_init', payload }, ...messages].map(message =>
            frame(1, JSON.stringify(message)),
          )
          const hello = handshake(server.url, '/graphql', {
            'sec-websocket-protocol': PROTOCOL,
            'x-forwarded-for': from,
          })
          await attack([hello, ...texts, BYE], waits ? 'closed' : undefined)
        },
      ),
    ),
    60_000,
  )

  it(
    'by any frames and any token over /listen',
    holds(
      fc.asyncProperty(
        fc.oneof(fc.constantFrom('fuzz', 'witness', 'listenql', 'fuzz%2a', '%'), fc.webSegment()),
        credential,
        fc.array(fc.tuple(fc.nat(15), fc.uint8Array({ maxLength: 200 }), fc.boolean()), { maxLength: 5 }),
        address,
        async (channel, make, frames, from) => {
          const path = `/listen/${channel}?access_token=${encodeURIComponent(make())}`
          const bytes = frames.map(([opcode, body, fin]) => frame(opcode, Buffer.from(body), fin))
          await attack([handshake(server.url, path, { 'x-forwarded-for': from }), ...bytes, BYE])
        },
      ),
    ),
    60_000,
  )

  it(
    'by any HTTP request: methods, URLs, headers, bodies',
    holds(
      fc.asyncProperty(
        fc.record({
          method: fc.constantFrom('POST', 'POST', 'GET', 'OPTIONS', 'PUT', 'HEAD'),
          path: fc.oneof(
            fc.constantFrom('/graphql', '/', '/healthz', '/listen/fuzz'),
            fc.webPath(),
            fc.webQueryParameters().map(query => `/graphql?${query}`),
          ),
          accept: fc.constantFrom(
            'application/json',
            'text/event-stream',
            'multipart/mixed;subscriptionSpec=1.0',
            '*/*',
            'text/html',
          ),
          type: fc.constantFrom('application/json', 'application/json', 'text/plain', 'multipart/form-data'),
          header: fc.tuple(fc.constantFrom('Authorization: Bearer ', 'Cookie: session=', 'X: '), credential),
          header2: fc.stringMatching(/^[a-z-]{1,12}: [ -~]{0,30}$/),
          body: fc.oneof(
            { weight: 4, arbitrary: params.map(value => JSON.stringify(value)) },
            { weight: 1, arbitrary: fc.json() },
            { weight: 1, arbitrary: fc.string() },
          ),
          from: address,
          inUrl: fc.boolean(),
        }),
        async ({ method, path, accept, type, header: [name, make], header2, body, from, inUrl }) => {
          const sent = method === 'POST' ? body : ''
          const query = encodeURIComponent(body.slice(0, 1000))
          const target = method === 'GET' && inUrl ? `/graphql?query=${query}` : path || '/'
          const lines = [
            `${method} ${target} HTTP/1.1`,
            'Host: localhost',
            `Accept: ${accept}`,
            `Content-Type: ${type}`,
            `${name}${make().replace(/[^!-~]/g, '')}`,
            `X-Forwarded-For: ${from}`,
            'Sec-Fetch-Site: same-origin',
            header2,
            `Content-Length: ${Buffer.byteLength(sent)}`,
          ]
          await attack([`${lines.join('\r\n')}\r\n\r\n`, sent])
        },
      ),
    ),
    60_000,
  )
})
