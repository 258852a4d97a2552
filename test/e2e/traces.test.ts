import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { createClient } from 'graphql-ws'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createLive, type Live } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'
import { waitUntil } from '../support/wait.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`
const exporter = new InMemorySpanExporter()

let log: TestLog
let live: Live
beforeAll(async () => {
  // As an application does that embeds the server, or `node --import`.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
  log = await createLog()
  await log.query('create table people (pk int primary key, name text)')
  await log.watch('people')
  live = await createLive(log, { queryTimeout: 1000 })
  await live.ready('{ people { cursor } }')
})
afterAll(async () => {
  await live.close()
  await log.close()
})
beforeEach(() => exporter.reset())

const spans = () =>
  exporter.getFinishedSpans().map(span => ({
    name: span.name,
    attributes: span.attributes,
    failed: span.status.message,
    trace: span.spanContext().traceId,
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
  }))
const named = (name: string) => waitUntil(() => spans().find(span => span.name === name), `a span ${name}`)

it('a request over HTTP is a part of the trace of its client, and what it reads is a part of the request', async () => {
  const response = await fetch(`${live.server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: TRACEPARENT },
    body: JSON.stringify({ query: '{ people { rows { pk } } }' }),
  })
  await response.text()
  const request = await named('listenql.request')
  expect(request).toMatchObject({
    trace: TRACE,
    parent: 'b7ad6b7169203331',
    attributes: { 'listenql.transport': 'http' },
  })
  expect(await named('listenql.read')).toMatchObject({
    trace: TRACE,
    parent: request.id,
    attributes: { 'db.collection.name': 'people' },
  })
})

it('the operations of a WebSocket are parts of the trace of connection_init; a live query is read for many', async () => {
  const client = createClient({
    url: `${live.server.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { traceparent: TRACEPARENT },
  })
  const results = client.iterate({ query: 'subscription { people { rows { pk } } }' })
  await results.next()
  for (const name of ['listenql.prepare', 'listenql.request'])
    expect(await named(name)).toMatchObject({
      trace: TRACE,
      attributes: { 'listenql.transport': 'graphql-ws' },
    })
  expect(await named('listenql.read')).toMatchObject({ parent: undefined })
  expect(
    spans()
      .filter(({ trace: own }) => own !== TRACE)
      .map(({ name }) => name),
  ).toEqual(['listenql.read'])
  await log.query('insert into people values (1)')
  await results.next()
  expect(await named('listenql.log.page')).toMatchObject({
    parent: undefined,
    attributes: { 'listenql.events': 1 },
  })
  await client.dispose()
})

it('what a client sends in place of a trace is ignored', async () => {
  const response = await fetch(`${live.server.url}/graphql?query={people{cursor}}`, {
    headers: { traceparent: '00-zzzz', accept: 'application/json' },
  })
  expect(response.status).toBe(200)
  await response.text()
  expect(await named('listenql.request')).toMatchObject({ parent: undefined })
})

it('no span has a value of a client, and a read that fails says why by its code', async () => {
  const secret = 'secret-4711'
  const blocked = await log.connect()
  await blocked.query('begin; lock table people')
  const response = await fetch(`${live.server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: JSON.stringify({
      query: `query ${secret.replace('-', '_')} { people(where: {name: {eq: "${secret}"}}) { cursor } }`,
    }),
  })
  await response.text()
  await blocked.query('rollback')
  expect(await named('listenql.read')).toMatchObject({ failed: 'QUERY_TIMEOUT' })
  await named('listenql.request')
  expect(JSON.stringify(spans())).not.toMatch(/secret|4711/)
})
