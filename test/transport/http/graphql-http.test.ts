import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GraphQLError } from 'graphql'
import { serverAudits } from 'graphql-http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { createClientMemory } from '../../../src/lib/limits/client-memory.js'
import { createGraphqlHttp } from '../../../src/transport/http/graphql-http.js'
import { createClientAddresses } from '../../../src/transport/limits/client-address.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { channelQuery, post, type RawAnswer, send } from '../../support/raw.js'

let database: TestDatabase
let server: ListenqlServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    publish: ['*'],
    maxDepth: 5,
  })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})

// https://graphql.github.io/graphql-over-http/draft/
describe('the audit of GraphQL over HTTP', () => {
  const audits = serverAudits({ url: () => `${server.url}/graphql` })

  it('is the whole one', () => expect(audits.length).toBeGreaterThan(50))

  it.each(audits.map(audit => [audit.id, audit.name, audit] as const))('%s %s', async (_id, _name, audit) => {
    const result = await audit.fn()
    expect(result).toMatchObject({ status: 'ok' })
  })
})

const LEGACY = 'application/json'
const GRAPHQL = 'application/graphql-response+json'

interface Body {
  readonly data?: unknown
  readonly errors?: readonly { message: string; extensions: { code: string } }[]
}

function read(answer: RawAnswer): Body {
  return JSON.parse(answer.body)
}

describe('a status says what became of a request', () => {
  // `application/json` may come from a proxy, so that a client cannot take its status for ours (section 6.4.1).
  it.each([
    ['a syntax error', { query: '{' }, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', { query: '{ nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
    ['a document that is too deep', { query: `${'{a'.repeat(9)}${'}'.repeat(9)}` }, 'LIMIT_EXCEEDED'],
    ['an operation that is not there', { query: 'query A { channels }', operationName: 'B' }, undefined],
    ['several operations', { query: 'query A { channels } query B { channels }' }, undefined],
    [
      'a variable that is missing',
      { query: 'query ($x: Boolean!) { channels @include(if: $x) }' },
      undefined,
    ],
    [
      'a variable that does not fit',
      {
        query: 'mutation ($name: String!) { notify(channel: $name, payload: "") }',
        variables: { name: 1 },
      },
      'BAD_USER_INPUT',
    ],
    ['a subscription that is not valid', { query: 'subscription { nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
  ])('%s', async (_what, body, code) => {
    const legacy = await post(server.url, body, { accept: LEGACY })
    const graphql = await post(server.url, body, { accept: GRAPHQL })
    expect([legacy.status, graphql.status]).toEqual([200, 400])
    expect(legacy.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(graphql.headers['content-type']).toBe('application/graphql-response+json; charset=utf-8')
    for (const answer of [legacy, graphql]) {
      const { errors, ...rest } = read(answer)
      expect(rest).toEqual({})
      expect(errors?.[0]?.extensions.code).toEqual(code ?? expect.stringMatching(/^[A-Z_]+$/))
    }
    const search = new URLSearchParams(
      Object.entries(body).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    )
    const got = await send(server.url, { path: `/graphql?${search}`, headers: { accept: GRAPHQL } })
    expect(got.status).toBe(body.query.startsWith('mutation') ? 405 : 400)
  })

  it('an error within data is a result like others', async () => {
    const query = 'mutation { notify(channel: "listenql", payload: "x") }'
    for (const accept of [LEGACY, GRAPHQL]) {
      const answer = await post(server.url, { query }, { accept })
      expect(answer.status).toBe(200)
      expect(read(answer)).toMatchObject({
        data: null,
        errors: [{ extensions: { code: 'CHANNEL_NOT_ALLOWED' } }],
      })
    }
  })

  it('what is refused before it is read has the type that was asked for', async () => {
    for (const [accept, type] of [
      [GRAPHQL, GRAPHQL],
      [LEGACY, LEGACY],
      ['*/*', LEGACY],
      ['text/event-stream', LEGACY],
      ['image/png', LEGACY],
    ] as const) {
      for (const answer of [
        await post(server.url, '{', { accept }),
        await post(server.url, '{}', { accept, 'content-type': 'text/plain' }),
        await post(server.url, { query: 'x'.repeat(2_000_000) }, { accept }),
      ]) {
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expect(answer.headers['content-type']).toBe(`${type}; charset=utf-8`)
        expect(read(answer).errors).toHaveLength(1)
      }
    }
  })

  it('a mutation by GET is refused with 405, and what nobody can answer with 406, before it is run', async () => {
    const query = 'mutation { notify(channel: "x", payload: "x") }'
    const get = `/graphql?query=${encodeURIComponent(query)}`
    for (const accept of [LEGACY, GRAPHQL, '*/*', 'text/event-stream']) {
      const answer = await send(server.url, { path: get, headers: { accept } })
      expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } })
      expect(read(answer).errors?.[0]?.message).toContain('POST')
    }
    const answer = await post(server.url, { query }, { accept: 'image/png' })
    expect(answer.status).toBe(406)
    expect(read(answer).errors?.[0]?.message).toContain(GRAPHQL)
  })
})

it('a database that has not been reached is no fault of the request: 503, and when to try again', async () => {
  const error = new GraphQLError('away', { extensions: { code: 'DATABASE_FAILED' } })
  const { handle } = createGraphqlHttp({
    admit: async () => ({ role: undefined, claims: {}, issuedAt: undefined, expiresAt: undefined }),
    engine: { prepare: async () => ({ kind: 'invalid', errors: [error], isUnavailable: true }) },
    streams: { respond: () => Promise.reject(new Error('there is no stream')) },
    toClientError: () => error,
    graphiql: undefined,
    addresses: createClientAddresses([]),
    memory: createClientMemory(1e6),
    maxMessage: 1000,
    stallTimeout: 10_000,
  })
  const alone = createHttpServer((request, response) => {
    void handle(request, response, new URL(request.url ?? '', 'http://localhost'))
  })
  try {
    await new Promise<void>(resolve => alone.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(alone.address() as AddressInfo).port}`
    for (const accept of [LEGACY, GRAPHQL]) {
      const answer = await post(url, { query: '{ channels }' }, { accept })
      expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
      expect(read(answer).errors?.[0]?.extensions.code).toBe('DATABASE_FAILED')
    }
    const stream = await post(url, { query: '{ channels }' }, { accept: 'text/event-stream' })
    expect(stream).toMatchObject({ status: 200, body: expect.stringContaining('DATABASE_FAILED') })
  } finally {
    await new Promise(resolve => alone.close(resolve))
  }
})

describe('a content type', () => {
  const body = '{"query":"{ channels }"}'

  it.each(['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])(
    'is taken: %s',
    async type => {
      expect((await post(server.url, body, { 'content-type': type })).status).toBe(200)
    },
  )

  it.each([
    'application/json-patch+json',
    'application/jsonl',
    'application/json; charset=utf-16',
    'application/json;charset=latin1',
  ])('is refused with 415: %s', async type => {
    const answer = await post(server.url, body, { 'content-type': type })
    expect(answer.status).toBe(415)
    expect(read(answer).errors?.[0]?.message).toContain('application/json')
  })
})

describe('Accept decides', () => {
  const single = { query: '{ channels }' }
  const endless = { query: channelQuery('listenql') } // refused, so that its stream ends

  it.each([
    ['application/json', 'application/json', undefined],
    ['text/event-stream;q=0, */*', 'application/json', undefined],
    ['text/event-stream;q=0', undefined, undefined],
    ['*/*', 'application/json', 'text/event-stream'],
    ['application/json, text/event-stream', 'application/json', 'text/event-stream'],
    ['text/event-stream, application/json', 'application/json', 'text/event-stream'],
    ['text/event-stream, application/json;q=0.5', 'text/event-stream', 'text/event-stream'],
    [
      'application/graphql-response+json, application/json;q=0.9',
      'application/graphql-response+json',
      undefined,
    ],
    ['application/json;q=0, */*;q=0.1', 'application/graphql-response+json', 'text/event-stream'],
    [
      'multipart/mixed;subscriptionSpec=1.0, application/json',
      'application/json',
      'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
    ],
    [
      'text/event-stream;q=0.1, multipart/mixed;subscriptionSpec="1.0";q=0.2',
      'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
      'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
    ],
  ])('%s', async (accept, forQuery, forSubscription) => {
    for (const [body, type] of [
      [single, forQuery],
      [endless, forSubscription],
    ] as const) {
      const answer = await post(server.url, body, { accept })
      const isCharset = type !== undefined && !type.startsWith('multipart')
      if (type === undefined) expect(answer.status).toBe(406)
      else expect(answer.headers['content-type']).toBe(isCharset ? `${type}; charset=utf-8` : type)
    }
  })

  it('where the header stands twice, both count', async () => {
    const headers = { accept: ['application/json;q=0.1', 'text/event-stream'] as unknown as string }
    const answer = await post(server.url, single, headers)
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8')
  })
})
