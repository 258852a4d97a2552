import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { openGraphql, post, send } from '../support/raw.js'

let database: TestDatabase
let server: ListenqlServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({ databaseUrl: database.url, port: 0, logLevel: 'silent' })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})

interface Asked {
  readonly query: string
  readonly operationName?: string
}

interface Result {
  readonly data?: unknown
  readonly errors?: readonly { message: string; extensions: { code: string } }[]
}

/** The only result that each transport delivers. */
const TRANSPORTS: Record<string, (asked: Asked) => Promise<Result>> = {
  POST: async asked => JSON.parse((await post(server.url, asked)).body),
  GET: async asked =>
    JSON.parse((await send(server.url, { path: `/graphql?${new URLSearchParams({ ...asked })}` })).body),
  SSE: async asked => {
    const { body } = await post(server.url, asked, { accept: 'text/event-stream' })
    return JSON.parse(/^data: (.+)$/m.exec(body)?.[1] ?? '')
  },
  'graphql-ws': async asked => {
    const socket = await openGraphql(server.url)
    try {
      socket.send({ type: 'subscribe', id: '1', payload: asked })
      const { type, payload } = await socket.next()
      return (type === 'error' ? { errors: payload } : payload) as Result
    } finally {
      socket.webSocket.terminate()
    }
  },
}

describe.each(Object.entries(TRANSPORTS))('operationName over %s', (_name, ask) => {
  it('an empty name equals an absent one', async () => {
    const data = { channels: ['*'] }
    expect(await ask({ query: '{ channels }', operationName: '' })).toEqual({ data })
    expect(await ask({ query: 'query Named { channels }', operationName: '' })).toEqual({ data })
    expect(await ask({ query: 'query Named { channels }', operationName: 'Named' })).toEqual({ data })
  })

  it.each<[string, Asked, RegExp]>([
    [
      'empty with several operations',
      { query: 'query A { channels } query B { channels }', operationName: '' },
      /several operations \(A, B\)/,
    ],
    ['absent with several operations', { query: 'query A { channels } query B { channels }' }, /\(A, B\)/],
    [
      'not one of the names',
      { query: 'query A { channels } query B { channels }', operationName: 'C' },
      /no operation named "C"; it has A, B\./,
    ],
    [
      'given for an unnamed operation',
      { query: '{ channels }', operationName: 'C' },
      /has no name: leave out/,
    ],
    [
      'with a quote in it',
      { query: 'query A { channels }', operationName: '"\n' },
      /no operation named "\\"\\n"/,
    ],
    [
      'of very many',
      {
        query: Array.from({ length: 40 }, (_, i) => `query Q${i} { channels }`).join(' '),
        operationName: 'C',
      },
      /it has Q0, Q1, .*Q9, …\.$/,
    ],
  ])('the error about it is accurate: %s', async (_what, asked, message) => {
    const { errors, ...rest } = await ask(asked)
    expect(rest).toEqual({})
    expect(errors).toMatchObject([
      { message: expect.stringMatching(message), extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } },
    ])
  })

  it('the error of a document without operations does not mention several', async () => {
    const { errors } = await ask({ query: 'fragment F on Query { channels }' })
    expect(errors?.[0]?.message).toBe('Fragment "F" is never used.')
  })
})
