import { createSourceEventStream, execute, parse } from 'graphql'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { SchemaContext } from '../../schema/context.js'
import { buildSchema } from '../../schema/index.js'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { query } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { openConnection, openGraphql, post, send } from '../support/raw.js'
import { column, createFakeContext, image, table } from '../support/watched-tables.js'

/** JSON as it is stored, with numbers that do not fit a double. */
const STORED =
  '{"id": 9007199254740993, "far": [1e400, -1e-400], "price": 1.50, "n": 123456789012345678901234567890.10}'
/** The same as jsonb writes it. */
const BINARY = `{"n": 123456789012345678901234567890.10, "id": 9007199254740993, "far": [1${'0'.repeat(400)}, -0.${'0'.repeat(399)}1], "price": 1.50}`
const LIST = '[9007199254740993,null,{"a" : 0.10}]'

let log: TestLog
let server: ListenqlServer
let cursor: string
beforeAll(async () => {
  log = await createLog()
  await log.query('create table docs (id int primary key, doc json, bin jsonb, list json[])')
  await log.watch('docs')
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 50,
  })
})
afterAll(async () => {
  await server.close()
  await log.close()
})
beforeEach(async () => {
  await log.query('delete from docs')
  cursor = ((await query(server.url, '{ docs { cursor } }')).docs as { cursor: string }).cursor
})

const write = () =>
  log.query(
    `insert into docs values (1, $1::text::json, $1::text::jsonb, array['9007199254740993', null, '{"a" : 0.10}']::json[])`,
    [STORED],
  )
const publish = () => log.query(`select listenql.publish('docs', $1::text)`, [STORED])

const ROW = `"doc":${STORED},"bin":${BINARY},"list":${LIST}`
const SUBSCRIPTION = 'subscription { docsChanged { row { doc bin list } } }'
const CHANNEL = 'subscription { channel(name: "docs") { json } }'
const ROWS = '{ docs { rows { doc bin list } } }'

/** Everything that the server sends to an HTTP client for `query`, up to `part`. */
async function overHttp(document: string, accept: string, part: string, act: () => unknown, after?: string) {
  const body = JSON.stringify({ query: document, ...(after !== undefined && { extensions: { after } }) })
  const connection = await openConnection(server.url)
  connection.socket.write(
    `POST /graphql HTTP/1.1\r\nhost: localhost\r\naccept: ${accept}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  await connection.until('HTTP/1.1 200')
  await act()
  const text = await connection.until(part)
  connection.socket.destroy()
  return text
}

async function overWebSocket(document: string, act: () => unknown, after?: string) {
  const socket = await openGraphql(server.url)
  socket.send({
    id: '1',
    type: 'subscribe',
    payload: { query: document, ...(after !== undefined && { extensions: { after } }) },
  })
  let text = ''
  for (let acted = false; !text.includes('"type":"next"'); ) {
    text = await socket.messages.next()
    if (!acted && text.includes('cursors')) {
      acted = true
      await act()
    }
  }
  socket.webSocket.close()
  return text
}

const SSE = 'text/event-stream'
const MULTIPART = 'multipart/mixed;subscriptionSpec=1.0, application/json'
const nothing = () => undefined

it.each([SSE, MULTIPART])(
  'a change carries the stored text of its JSON values over %s, live and replayed',
  async accept => {
    expect(await overHttp(SUBSCRIPTION, accept, '"cursor"', write)).toContain(ROW)
    expect(await overHttp(SUBSCRIPTION, accept, '"cursor"', nothing, cursor)).toContain(ROW)
  },
)

it('a change carries the stored text over graphql-ws, live and replayed', async () => {
  expect(await overWebSocket(SUBSCRIPTION, write)).toContain(ROW)
  expect(await overWebSocket(SUBSCRIPTION, nothing, cursor)).toContain(ROW)
})

it('an event of a channel carries the stored text, live and replayed', async () => {
  const json = `"json":${STORED}`
  expect(await overHttp(CHANNEL, SSE, '"cursor"', publish)).toContain(json)
  expect(await overHttp(CHANNEL, MULTIPART, '"cursor"', nothing, cursor)).toContain(json)
  expect(await overWebSocket(CHANNEL, publish)).toContain(json)
})

it('the rows of a snapshot carry the stored text over every transport', async () => {
  await write()
  expect((await post(server.url, { query: ROWS })).body).toContain(ROW)
  const path = `/graphql?query=${encodeURIComponent(ROWS)}`
  expect((await send(server.url, { path, headers: { accept: 'application/json' } })).body).toContain(ROW)
  expect((await send(server.url, { path, headers: { accept: SSE } })).body).toContain(ROW)
  expect((await post(server.url, { query: ROWS }, { accept: MULTIPART })).body).toContain(ROW)
  expect(await overWebSocket(ROWS, nothing)).toContain(ROW)
})

it('a query over graphql-ws that its client completes before the answer gets no message', async () => {
  const socket = await openGraphql(server.url)
  socket.send({ id: 'a', type: 'subscribe', payload: { query: ROWS } })
  socket.send({ id: 'a', type: 'complete' })
  socket.send({ id: 'b', type: 'subscribe', payload: { query: ROWS } })
  const types: string[] = []
  while (types.at(-1) !== 'complete b') {
    const { type, id } = await socket.next()
    types.push(`${type} ${id}`)
  }
  expect(types).toEqual(['next b', 'complete b'])
  socket.webSocket.close()
})

it('a JSON text of several lines stays within its event', async () => {
  const lines = '{\r\n"a":\n1\r}'
  expect(
    await overHttp(SUBSCRIPTION, SSE, '"cursor"', () =>
      log.query('insert into docs values (2, $1)', [lines]),
    ),
  ).toContain('"doc":{  "a": 1 }')
})

it('a JSON value that another server would change when it writes the result is an error at its path', async () => {
  const t = table('t', [
    column('id', 'int4', { notNull: true }),
    column('doc', 'json'),
    column('same', 'json'),
    column('list', 'json', { isArray: true }),
  ])
  const schema = buildSchema({ tables: [t] })
  const row = image(t, `{"id":1,"doc":${STORED},"same":{"a":1.50},"list":${LIST}}`)
  const { context } = createFakeContext({ rows: [row] })
  const document = parse('{ t { rows { id doc same list } } }')
  const result = await execute({ schema, document, contextValue: context })
  expect(JSON.parse(JSON.stringify(result.data))).toEqual({
    t: { rows: [{ id: 1, doc: null, same: { a: 1.5 }, list: [null, null, { a: 0.1 }] }] },
  })
  const codes = result.errors?.map(({ path, originalError }) => [
    path?.join('.'),
    (originalError as { code?: string }).code,
  ])
  expect(codes).toEqual([
    ['t.rows.0.doc', 'VALUE_NOT_SHOWN'],
    ['t.rows.0.list.0', 'VALUE_NOT_SHOWN'],
  ])
})

it('a JSON value is an error too if another server executes the subscription on our schema', async () => {
  const { ChannelEvent } = await import('../../src/sources/channels/channel-event.js')
  const { EventSource } = await import('../../src/sources/source.js')
  const { context } = createFakeContext()
  const channelSource: SchemaContext['channelSource'] = () =>
    new EventSource(
      { kind: 'channel', name: 'x' },
      {
        async open(follower) {
          follower.event(new ChannelEvent('x', '[1e400]'))
          return nothing
        },
        live: async () => undefined,
      },
    )
  const schema = buildSchema()
  const document = parse(CHANNEL)
  const contextValue = { ...context, channelSource }
  const events = await createSourceEventStream({ schema, document, contextValue })
  if (!(Symbol.asyncIterator in events)) throw new Error(JSON.stringify(events))
  const { value } = await events[Symbol.asyncIterator]().next()
  const result = await execute({ schema, document, contextValue, rootValue: value })
  expect(result.data).toEqual({ channel: { json: null } })
  expect(result.errors).toHaveLength(1)
})
