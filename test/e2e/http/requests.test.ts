import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { buildClientSchema, getIntrospectionQuery, type IntrospectionQuery } from 'graphql'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { channelQuery, exchange, handshake, openConnection, post, send } from '../../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../../support/witness.js'

const MAX_MESSAGE = 100_000
let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await startWitnessed(database, { maxMessage: MAX_MESSAGE, publish: ['*'] })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})
afterEach(async () => {
  await server.expectHealthy()
  await server.expectNothingLeft()
})

const notify = (channel: string, payload: string) =>
  database.query('select pg_notify($1, $2)', [channel, payload])
/** The error of a JSON response, or of the only result of a stream. */
const errorsOf = (body: string) =>
  (JSON.parse(/^data: (.+)$/m.exec(body)?.[1] ?? body) as { errors: { message: string }[] }).errors
const SSE = { accept: 'text/event-stream' }
const MULTIPART = { accept: 'multipart/mixed;subscriptionSpec=1.0' }

/** No text that helps an attacker, and none that a person could not read. */
function expectClean(text: string): void {
  const password = new URL(database.url).password
  for (const secret of [
    password,
    database.name,
    '/work/',
    'node_modules',
    'pg_notify',
    '    at ',
    '.ts:',
    '.js:',
  ]) {
    expect(text).not.toContain(secret)
  }
}

describe('a malformed request', () => {
  it.each([
    ['malformed JSON', '{"query":', /not JSON/],
    ['no body', '', /not JSON/],
    ['a batch', [{ query: '{ channels }' }, { query: '{ channels }' }], /no batching/],
    ['an empty batch', [], /no batching/],
    ['null', 'null', /not an object/],
    ['a string', '"{ channels }"', /not an object/],
    ['no query', {}, /no "query"/],
    ['a query that is not a string', { query: 1 }, /no "query"/],
    ['variables that are a list', { query: channelQuery('x'), variables: [] }, /"variables"/],
    ['variables that are a string', { query: channelQuery('x'), variables: '{}' }, /"variables"/],
    ['extensions that are a list', { query: channelQuery('x'), extensions: [] }, /"extensions"/],
    ['a name that is not a string', { query: '{ channels }', operationName: {} }, /"operationName"/],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not JSON/],
  ])('is refused with 400 and a reason: %s', async (_what, body, message) => {
    for (const headers of [{}, SSE, MULTIPART, { accept: '*/*' }]) {
      const answer = await post(server.url, body, headers)
      expect(answer.status).toBe(400)
      expect(answer.headers['content-type']).toMatch(/^application\/json/)
      expect(errorsOf(answer.body)).toMatchObject([{ message: expect.stringMatching(message) }])
      expectClean(answer.body)
    }
  })

  it.each([
    ['no parameter', '', /no "query"/],
    ['variables that are not JSON', '?query={channels}&variables={', /"variables" is not JSON/],
    [
      'variables that are a list',
      `?query=${encodeURIComponent(channelQuery('x'))}&variables=[]`,
      /"variables"/,
    ],
    ['extensions that are not JSON', '?query={channels}&extensions=x', /"extensions" is not JSON/],
  ])('is refused in a URL too: %s', async (_what, search, message) => {
    for (const headers of [{}, SSE]) {
      const answer = await send(server.url, { path: `/graphql${search}`, headers })
      expect(answer.status).toBe(400)
      expect(errorsOf(answer.body)).toMatchObject([{ message: expect.stringMatching(message) }])
    }
  })

  it.each([
    ['none', undefined],
    ['a form', 'application/x-www-form-urlencoded'],
    ['plain text', 'text/plain'],
    ['a multipart form', 'multipart/form-data; boundary=x'],
    ['GraphQL as text', 'application/graphql'],
  ])('is refused with 415 for its content type: %s', async (_what, type) => {
    const body = JSON.stringify({ query: 'mutation { notify(channel: "x", payload: "forged") }' })
    const answer = await send(server.url, {
      method: 'POST',
      path: '/graphql',
      headers: type === undefined ? {} : { 'content-type': type },
      body,
    })
    expect(answer.status).toBe(415)
    expect(errorsOf(answer.body)[0]?.message).toContain('application/json')
  })
})

describe('a body over maxMessage', () => {
  const large = JSON.stringify({ query: '{ channels }', extensions: { x: 'x'.repeat(MAX_MESSAGE) } })

  it('is refused with 413 by its content-length', async () => {
    const answer = await post(server.url, large, { 'content-length': String(Buffer.byteLength(large)) })
    expect(answer.status).toBe(413)
    expect(answer.headers.connection).toBe('close')
    expect(errorsOf(answer.body)[0]?.message).toContain(`${MAX_MESSAGE} bytes`)
  })

  it('is refused before it is sent if the client expects 100-continue', async () => {
    const connection = await openConnection(server.url)
    connection.socket.write(
      'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n',
    )
    expect(await connection.closed).toMatch(/^HTTP\/1.1 413 /)
  })

  it('is refused with 413 if it has no content-length', async () => {
    const answer = await post(server.url, large, { 'transfer-encoding': 'chunked' })
    expect(answer.status).toBe(413)
    expect(errorsOf(answer.body)[0]?.message).toContain(`${MAX_MESSAGE} bytes`)
  })

  it('is refused with 413 while it still arrives', async () => {
    const connection = await openConnection(server.url)
    connection.socket.write(
      'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    const chunk = `${(64 * 1024).toString(16)}\r\n${'x'.repeat(64 * 1024)}\r\n`
    connection.socket.write(chunk + chunk) // and never the end
    expect(await connection.closed).toMatch(/^HTTP\/1.1 413 /)
  })

  it('may have exactly maxMessage bytes', async () => {
    const empty = JSON.stringify({ query: '{ channels }', extensions: { x: '' } })
    const body = empty.replace('""', `"${'x'.repeat(MAX_MESSAGE - Buffer.byteLength(empty))}"`)
    expect(Buffer.byteLength(body)).toBe(MAX_MESSAGE)
    expect((await post(server.url, body)).status).toBe(200)
    expect((await post(server.url, `${body} `)).status).toBe(413)
  })

  it('that never ends affects no other client', async () => {
    const connection = await openConnection(server.url)
    connection.socket.write(
      'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
    )
    await server.expectHealthy()
    connection.socket.destroy()
  })
})

describe('paths and methods', () => {
  it.each([
    '/nothing',
    '/graphql/',
    '/graphqlx',
    '/listen',
    '/assets/../package.json',
    '/%2e%2e/package.json',
    '//',
    '/.env',
  ])('an unknown path is answered with 404 and the list of paths: %s', async path => {
    const answer = await send(server.url, { path })
    expect(answer.status).toBe(404)
    expect(answer.body).toMatch(/\/graphql.*\/listen\/\{channel\}/)
    expectClean(answer.body)
  })

  it.each(['/', '/nothing', '/graphqlx', '/listen', '/healthz'])(
    'an upgrade of another path is answered with 404: %s',
    async path => {
      const answer = await exchange(server.url, handshake(server.url, path))
      expect(answer).toMatch(/^HTTP\/1.1 404 Not Found\r\n/)
      expect(answer).toContain('/listen/{channel}')
    },
  )

  it.each([
    ['/graphql', 'PUT', 'GET, POST, OPTIONS'],
    ['/graphql', 'DELETE', 'GET, POST, OPTIONS'],
    ['/graphql', 'PATCH', 'GET, POST, OPTIONS'],
    ['/graphql', 'HEAD', 'GET, POST, OPTIONS'],
    ['/', 'POST', 'GET, HEAD'],
    ['/', 'DELETE', 'GET, HEAD'],
    ['/assets/page.js', 'PUT', 'GET, HEAD'],
    ['/healthz', 'POST', 'GET, HEAD'],
    ['/readyz', 'DELETE', 'GET, HEAD'],
  ])('another method is answered with 405 and Allow: %s %s', async (path, method, allow) => {
    const answer = await send(server.url, { method, path })
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toBe(allow)
  })

  it('HEAD of the page and of health has no body', async () => {
    for (const path of ['/', '/healthz', '/readyz']) {
      expect(await send(server.url, { method: 'HEAD', path })).toMatchObject({ status: 200, body: '' })
    }
  })

  it('a plain GET of /listen is answered with a hint to use a WebSocket', async () => {
    const answer = await send(server.url, { path: '/listen/people' })
    expect(answer).toMatchObject({ status: 426, headers: { upgrade: 'websocket' } })
    expect(answer.body).toContain('WebSocket')
  })

  it('the absolute form of a request target is accepted', async () => {
    const answer = await send(server.url, { path: 'http://localhost/healthz' })
    expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('ok') })
  })
})

describe('GET never runs a mutation', () => {
  const query = encodeURIComponent('mutation { notify(channel: "forged", payload: "by GET") }')

  it.each([
    ['JSON', 'application/json'],
    ['GraphQL JSON', 'application/graphql-response+json'],
    ['any type', '*/*'],
    ['SSE', 'text/event-stream'],
    ['SSE before JSON', 'text/event-stream, application/json;q=0.5'],
    ['multipart', MULTIPART.accept],
    ['HTML', 'text/html'],
    ['an image', 'image/png'],
  ])('if it accepts %s', async (_what, accept) => {
    const listener = await openConnection(server.url)
    listener.socket.write(handshake(server.url, '/listen/forged'))
    await listener.until('\r\n\r\n')
    const answer = await send(server.url, { path: `/graphql?query=${query}`, headers: { accept } })
    expect([405, 406]).toContain(answer.status)
    if (answer.status === 405) expect(answer.headers.allow).toBe('POST')
    await notify('forged', 'by SQL')
    expect(await listener.until('by SQL')).not.toContain('by GET')
    listener.socket.destroy()
  })

  it('selected by name among queries', async () => {
    const both = encodeURIComponent(
      'query Q { channels } mutation M { notify(channel: "x", payload: "by GET") }',
    )
    expect((await send(server.url, { path: `/graphql?query=${both}&operationName=M` })).status).toBe(405)
    expect((await send(server.url, { path: `/graphql?query=${both}&operationName=Q` })).status).toBe(200)
  })
})

describe('a subscription', () => {
  it.each(['application/json', 'application/graphql-response+json', 'image/png', 'multipart/mixed'])(
    'accepting only %s is refused with 406 and advice',
    async accept => {
      const answer = await post(server.url, { query: channelQuery('never') }, { accept })
      expect(answer.status).toBe(406)
      expect(errorsOf(answer.body)[0]?.message).toContain('text/event-stream')
      const get = `/graphql?query=${encodeURIComponent(channelQuery('never'))}`
      expect((await send(server.url, { path: get, headers: { accept } })).status).toBe(406)
    },
  )

  it.each([
    ['a syntax error', 'subscription {', /Syntax Error/],
    ['a validation error', 'subscription { nothing }', /nothing/],
    [
      'two root fields',
      'subscription { a: channel(name: "a") { gap } b: channel(name: "b") { gap } }',
      /one top/,
    ],
    ['two operations', 'query A { channels } query B { channels }', /several operations/],
  ])(
    'with %s is an event over SSE, and 400 with JSON if multipart is requested',
    async (_what, query, message) => {
      const get = `/graphql?query=${encodeURIComponent(query)}`
      for (const headers of [SSE, MULTIPART]) {
        for (const answer of [
          await post(server.url, { query }, headers),
          await send(server.url, { path: get, headers }),
        ]) {
          const asEvent = headers === SSE
          expect(answer.status).toBe(asEvent ? 200 : 400)
          expect(answer.headers['content-type']).toMatch(
            asEvent ? /^text\/event-stream/ : /^application\/json/,
          )
          expect(errorsOf(answer.body)[0]?.message).toMatch(message)
          expectClean(answer.body)
        }
      }
    },
  )

  it('of a field that cannot be subscribed to gets an error in the stream', async () => {
    const body = { query: channelQuery('listenql') }
    const answer = await post(server.url, body, SSE)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatch(/event: next\ndata: \{"errors".*CHANNEL_NOT_ALLOWED.*\n\nevent: complete\n/)
    const parts = await post(server.url, body, MULTIPART)
    expect(parts.status).toBe(200)
    expect(parts.body).toMatch(/CHANNEL_NOT_ALLOWED.*\r\n--graphql--\r\n$/s)
  })

  it('pipelined on one connection leaves nothing when the client disconnects', async () => {
    const get = (channel: string) =>
      `GET /graphql?query=${encodeURIComponent(channelQuery(channel))} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`
    const connection = await openConnection(server.url)
    connection.socket.write(get('first in line') + get('second in line'))
    await connection.until('\n\n')
    await expect.poll(() => server.ofType('subscriber.joined').at(-1)?.topic).toBe('second in line')
    connection.socket.destroy()
    await server.expectNothingLeft()
  })
})

describe('queries and mutations', () => {
  it('are answered as JSON', async () => {
    const answer = await post(server.url, { query: '{ channels }' })
    expect(answer.headers['content-type']).toMatch(/json/)
    expect(JSON.parse(answer.body)).toEqual({ data: { channels: ['*'] } })
    const get = await send(server.url, { path: '/graphql?query={channels}' })
    expect(JSON.parse(get.body)).toEqual({ data: { channels: ['*'] } })
  })

  it('are answered as a stream of one result if the client accepts only that', async () => {
    const answer = await post(server.url, { query: '{ channels }' }, SSE)
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(answer.body).toBe(
      'retry: 1000\n\nretry: 300000\nevent: next\ndata: {"data":{"channels":["*"]}}\n\nevent: complete\ndata:\n\n',
    )
    const parts = await post(server.url, { query: '{ channels }' }, MULTIPART)
    expect(parts.body).toMatch(/\{"payload":\{"data":\{"channels":\["\*"\]\}\}\}\r\n--graphql--\r\n$/)
  })

  it('can introspect the schema', async () => {
    const answer = await post(server.url, { query: getIntrospectionQuery() })
    const { data } = JSON.parse(answer.body) as { data: IntrospectionQuery }
    expect(Object.keys(buildClientSchema(data).getSubscriptionType()?.getFields() ?? {})).toEqual(['channel'])
  })

  it('return errors without internals', async () => {
    const answers = await Promise.all([
      post(server.url, { query: '{ nothing }' }),
      post(server.url, { query: '{' }),
      post(server.url, { query: 'query ($x: Int!) { channels }', variables: { x: 'no' } }),
      post(server.url, { query: 'mutation { notify(channel: "listenql", payload: "x") }' }),
      post(server.url, { query: `mutation { notify(channel: "${'x'.repeat(64)}", payload: "x") }` }),
      post(server.url, { query: 'mutation { notify(channel: "", payload: "x") }' }),
      post(server.url, { query: 'mutation { notify(channel: "x", payload: "\\u0000") }' }),
      send(server.url, { path: '/graphql?query={nothing}', headers: SSE }),
      send(server.url, { path: '/listen/%ff' }),
      send(server.url, { path: '/listen/' }),
    ])
    for (const { body } of answers) expectClean(body)
    for (const { body } of answers.slice(0, 8)) {
      expect(errorsOf(body)[0]?.message).not.toBe('')
      expect(body).not.toMatch(/"http":|"unexpected"/)
    }
  })
})

describe('hostile documents', () => {
  it.each([
    ['endless nesting', '{a'.repeat(20_000), /Nested too deeply/],
    ['endless nesting in a value', `{ a(b: ${'['.repeat(20_000)}) }`, /Nested too deeply/],
    [
      'very many aliases',
      `{ ${Array.from({ length: 5000 }, (_, i) => `a${i}:channels`).join(' ')} }`,
      /tokens/,
    ],
    ['a cycle of fragments', '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }', /itself/],
    [
      'cyclic introspection',
      `{ __schema { types ${'{ fields { type '.repeat(8)}{ name } ${'} }'.repeat(8)} } }`,
      /depth/i,
    ],
  ])('are refused: %s', async (_what, query, message) => {
    for (const headers of [{ accept: 'application/json' }, SSE]) {
      const answer = await post(server.url, { query }, headers)
      expect(errorsOf(answer.body)[0]?.message).toMatch(message)
      expectClean(answer.body)
    }
  })

  it('with variables of any depth affect no other client', async () => {
    const variables = `{"name":${'['.repeat(40_000)}${']'.repeat(40_000)}}`
    const query = 'subscription ($name: String!) { channel(name: $name) { payload } }'
    const body = `{"query":${JSON.stringify(query)},"variables":${variables}}`
    const answer = await post(server.url, body, SSE)
    expect(errorsOf(answer.body)[0]?.message).toMatch(/Nested too deeply|cannot represent a non string value/)
  })
})

describe('HTTP that Node refuses', () => {
  it.each([
    ['two content-lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n', '400'],
    ['a content-length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '400'],
    ['chunks under another name', 'Transfer-Encoding: xchunked\r\n', '400'],
    ['chunks twice', 'Transfer-Encoding: chunked, identity\r\n', '400'],
    ['a content-length that is not a number', 'Content-Length: 5x\r\n', '400'],
    ['a folded header', 'X-A: b\r\n c: d\r\nContent-Length : 5\r\n', '400'],
    ['a NUL in a header', 'X-A: b\0c\r\n', '400'],
    ['very large headers', `X-A: ${'x'.repeat(20_000)}\r\n`, '431'],
  ])('is answered without serving a second request: %s', async (_what, header, status) => {
    const answer = await exchange(
      server.url,
      `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${header}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    )
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).not.toContain('200 OK')
  })

  it('is answered with a status for a missing Host, garbage, and a very long URL', async () => {
    expect(await exchange(server.url, 'GET /healthz HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(await exchange(server.url, 'garbage\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(await exchange(server.url, Buffer.from([0x16, 0x03, 0x01, 0, 5, 1, 0, 0, 1, 0]))).toMatch(
      /^HTTP\/1.1 400 /,
    )
    const long = `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    expect(await exchange(server.url, long)).toMatch(/^HTTP\/1.1 431 /)
    // More than the server reads before it answers: a reset while the rest is in transit would hide the
    // response.
    const longer = `GET /${'x'.repeat(5_000_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    expect(await exchange(server.url, longer)).toMatch(/^HTTP\/1.1 431 /)
    for (const size of [20_000, 100_000, 1_000_000])
      expect((await send(server.url, { path: `/${'x'.repeat(size)}` })).status).toBe(431)
    expect((await send(server.url, { path: `/${'x'.repeat(10_000)}` })).status).toBe(414)
    expect((await send(server.url, { path: `/${'x'.repeat(8000)}` })).status).toBe(404)
  })
})

describe('curl', () => {
  const curl = async (...args: string[]) =>
    (await promisify(execFile)('curl', ['-sS', '--max-time', '10', ...args])).stdout

  it('shows refusals as they are', async () => {
    expect(await curl(`${server.url}/nothing`)).toMatch(/^not found.*\n$/)
    expect(await curl('-d', '{"query":"{ channels }"}', `${server.url}/graphql`)).toContain(
      'application/json',
    )
    const query = `query=${channelQuery('curl')}`
    expect(
      await curl('-G', '-H', 'accept: application/json', '--data-urlencode', query, `${server.url}/graphql`),
    ).toContain('text/event-stream')
  })

  it('subscribes with the command line that the server prints', async () => {
    const query = 'query=subscription { channel(name:"curl") { payload } }'
    const running = curl(
      ...['-N', '-G', `${server.url}/graphql`, '-H', 'accept: text/event-stream', '--max-time', '2'],
      ...['--data-urlencode', query],
    ).catch((error: { stdout: string }) => error.stdout) // curl ends on its timeout, with exit code 28
    await expect.poll(() => server.ofType('subscriber.joined').at(-1)?.topic).toBe('curl')
    await notify('curl', 'seen')
    expect(await running).toBe(
      'retry: 1000\n\nevent: next\ndata: {"data":{"channel":{"payload":"seen"}}}\n\n',
    )
  })
})
