import { createClient } from 'graphql-sse'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { readEventStream } from '../../support/real-clients/event-stream.js'

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

// "Validation steps that run before execution MUST report errors through an accepted SSE connection by emitting `next` events."
it.each([
  ['a syntax error', 'subscription {', /Syntax Error/],
  ['a validation error', 'subscription { channel(name: "x") { nope } }', /nope/],
])('a client over SSE receives the reason for an invalid operation: %s', async (_what, query, message) => {
  const expected = { errors: [{ message: expect.stringMatching(message) }] }
  const results = []
  const client = createClient({ url: `${server.url}/graphql`, retryAttempts: 0 })
  for await (const result of client.iterate({ query })) results.push(result)
  expect(results).toMatchObject([expected])

  const response = await fetch(`${server.url}/graphql?${new URLSearchParams({ query })}`, {
    headers: { accept: 'text/event-stream' },
  })
  const events = []
  for await (const { type, data } of readEventStream(response)) events.push({ type, data })
  expect(events.map(event => event.type)).toEqual(['next', 'complete'])
  expect(JSON.parse(events[0]?.data ?? '')).toMatchObject(expected)
})
