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
describe('the audit suite of GraphQL over HTTP', () => {
  const audits = serverAudits({ url: () => `${server.url}/graphql` })

  it('is complete', () => expect(audits.length).toBeGreaterThan(50))

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

describe('the answer to a request', () => {
  // A proxy may produce `application/json`, so a client cannot rely on the status of such an answer (section 6.4.1).
  it.each([
    ['a syntax error', { query: '{' }, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', { query: '{ nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
    ['a document that is too deep', { query: `${'{a'.repeat(9)}${'}'.repeat(9)}` }, 'LIMIT_EXCEEDED'],
    ['an unknown operation name', { query: 'query A { channels }', operationName: 'B' }, undefined],
    ['several operations without a name', { query: 'query A { channels } query B { channels }' }, undefined],
    ['a missing variable', { query: 'query ($x: Boolean!) { channels @include(if: $x) }' }, undefined],
    [
      'a variable of the wrong type',
      {
        query: 'mutation ($name: String!) { notify(channel: $name, payload: "") }',
        variables: { name: 1 },
      },
      'BAD_USER_INPUT',
    ],
    ['an invalid subscription', { query: 'subscription { nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
  ])('with %s has the status and code of the error', async (_what, body, code) => {
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

  it('with an error inside data has status 200, as for any result', async () => {
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

  it('that is refused before it is parsed has the requested content type', async () => {
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

  it('is 405 for a mutation by GET, and 406 for an unsupported Accept header, before anything is executed', async () => {
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

it('a request before the database is reached gets 503 and Retry-After', async () => {
  const error = new GraphQLError('away', { extensions: { code: 'DATABASE_FAILED' } })
  const { handle } = createGraphqlHttp({
    admit: async () => ({ role: undefined, claims: {}, issuedAt: undefined, expiresAt: undefined }),
    engine: { prepare: async () => ({ kind: 'invalid', errors: [error], isUnavailable: true }) },
    streams: { respond: () => Promise.reject(new Error('there is no stream')) },
    toClientError: () => error,
    graphiql: undefined,
    addresses: createClientAddresses([]),
    memory: createClientMemory(1e6),
    limits: { maxMessage: 1000 },
    stallTimeout: 10_000,
    observe: () => undefined,
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
    'is accepted: %s',
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

describe('the Accept header selects the content type', () => {
  const single = { query: '{ channels }' }
  const endless = { query: channelQuery('listenql') } // The subscription is refused, so its stream ends.

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
  ])('for %s', async (accept, forQuery, forSubscription) => {
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

  it('from the ranges of both lines if the header occurs twice', async () => {
    const headers = { accept: ['application/json;q=0.1', 'text/event-stream'] as unknown as string }
    const answer = await post(server.url, single, headers)
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8')
  })
})
