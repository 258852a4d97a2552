import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getIntrospectionQuery } from 'graphql'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sha256Of } from '../../src/graphql/documents/trusted-documents.js'
import { createServer, type ServerOptions } from '../../src/index.js'
import { overGraphqlWs, overMultipart, overSse } from '../support/clients.js'
import { createLive, type Live, nextChange } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'
import { openGraphql, post, type RawAnswer, send } from '../support/raw.js'

let log: TestLog
let live: Live | undefined
const folder = mkdtempSync(join(tmpdir(), 'listenql-trusted-'))
beforeAll(async () => {
  log = await createLog()
  await log.query(
    'create table people (id int primary key, name text); insert into people select generate_series(1, 5)',
  )
  await log.watch('people')
})
afterEach(async () => {
  await live?.close()
  live = undefined
})
afterAll(async () => {
  await log?.close()
  rmSync(folder, { recursive: true })
})

const QUERY =
  'query Names {\n  a: people(limit: 1) { rows { name } }\n  b: people(limit: 1) { rows { name } }\n}'
const OTHER = 'query Channels { channels }'
const SEND = 'mutation Send { notify(channel: "people", payload: "by a document") }'
const LIST = 'query List($limit: Int) { people(limit: $limit) { rows { id } } }'
const CHANGES = 'subscription Changes { peopleChanged { row { id name } } }'
const file = join(folder, 'persisted-documents.json')
writeFileSync(file, JSON.stringify({ names: QUERY, other: OTHER, send: SEND, list: LIST, changes: CHANGES }))
const hashed = (text: string) => ({ persistedQuery: { version: 1, sha256Hash: sha256Of(text) } })

async function start(options: ServerOptions = {}): Promise<string> {
  live = await createLive(log, { trustedDocuments: file, publish: ['*'], ...options })
  return live.server.url
}
const only = { trustedDocumentsOnly: true }

type Asked = Record<string, unknown>
interface Answer {
  readonly data?: unknown
  readonly errors?: {
    readonly message: string
    readonly extensions?: { readonly code: string; readonly hint?: string }
  }[]
}
const search = (asked: Asked) =>
  new URLSearchParams(
    Object.entries(asked).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
const get = (url: string, asked: Asked, accept: string) =>
  send(url, { path: `/graphql?${search(asked)}`, headers: { accept } })
const eventOf = ({ body }: RawAnswer): Answer => JSON.parse(/^data: (\{.*)$/m.exec(body)?.[1] ?? body)
const partOf = ({ body }: RawAnswer): Answer => {
  const part = /\r\n\r\n(\{"payload".*)/.exec(body)?.[1]
  return part === undefined ? JSON.parse(body) : JSON.parse(part).payload
}
const MULTIPART = 'multipart/mixed;subscriptionSpec=1.0'

/** Each transport: the first result of a request. */
const TRANSPORTS: Readonly<Record<string, (url: string, asked: Asked) => Promise<Answer>>> = {
  POST: async (url, asked) => JSON.parse((await post(url, asked)).body),
  GET: async (url, asked) => JSON.parse((await get(url, asked, 'application/json')).body),
  'SSE POST': async (url, asked) => eventOf(await post(url, asked, { accept: 'text/event-stream' })),
  'SSE GET': async (url, asked) => eventOf(await get(url, asked, 'text/event-stream')),
  multipart: async (url, asked) => partOf(await post(url, asked, { accept: MULTIPART })),
  async 'graphql-ws'(url, asked) {
    const socket = await openGraphql(url)
    socket.send({ type: 'subscribe', id: '1', payload: asked })
    const message = (await socket.next()) as { type: string; payload: unknown }
    expect(message).toMatchObject({ id: '1', type: message.type === 'error' ? 'error' : 'next' })
    // The socket stays open, and the next operation runs.
    socket.send({ type: 'subscribe', id: '2', payload: { documentId: 'other' } })
    let next: unknown
    do next = await socket.next()
    while ((next as { id: string }).id === '1')
    expect(next).toMatchObject({ id: '2', type: 'next', payload: { data: { channels: ['*'] } } })
    socket.webSocket.terminate()
    return (message.type === 'error' ? { errors: message.payload } : message.payload) as Answer
  },
}
const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions?.code
const NAMES = { data: { a: { rows: [{ name: null }] }, b: { rows: [{ name: null }] } } }

describe.each(Object.entries(TRANSPORTS))('over %s', (transport, ask) => {
  it.each([[only], [{}]])('a trusted document runs by each of its names (%j)', async options => {
    const url = await start(options)
    for (const named of [
      { documentId: 'names' },
      { doc_id: 'names' },
      { id: 'names' },
      { documentId: `sha256:${sha256Of(QUERY)}` },
      { extensions: hashed(QUERY) },
      { extensions: { persistedQuery: { version: 1, sha256Hash: 'names' } } },
      { documentId: 'names', operationName: 'Names' },
      { documentId: 'names', extensions: hashed(QUERY) },
      { query: QUERY },
      { query: QUERY.replaceAll('\n', ' ') },
      { query: QUERY, extensions: hashed(QUERY) },
      { query: QUERY, documentId: 'names', id: 'names' },
    ])
      expect(await ask(url, named)).toEqual(NAMES)
    expect(await ask(url, { documentId: 'list', variables: { limit: 2 } })).toEqual({
      data: { people: { rows: [{ id: 1 }, { id: 2 }] } },
    })
  })

  it('where only trusted documents run, no other does, by whatever name', async () => {
    const url = await start(only)
    const untrusted = transport.endsWith('GET')
      ? '{ people { rows { id } } }'
      : 'mutation { notify(channel: "people", payload: "x") }'
    for (const asked of [
      { query: untrusted },
      { query: '{ channels }' },
      { query: getIntrospectionQuery() },
      { query: '{ __typename }' },
      { query: `${QUERY} query Second { channels }`, operationName: 'Names' },
      { query: '{' },
      { documentId: 'unknown' },
      { documentId: sha256Of(QUERY) },
      { id: '__proto__' },
      { extensions: hashed(untrusted) },
      { extensions: { persistedQuery: { version: 1 } } },
      { query: untrusted, extensions: hashed(untrusted) },
      { query: untrusted, documentId: 'unknown' },
    ]) {
      const answer = await ask(url, asked)
      expect([asked, answer]).toEqual([asked, { errors: [expect.anything()] }])
      expect([asked, codeOf(answer)]).toEqual([asked, 'DOCUMENT_NOT_TRUSTED'])
      expect(answer.errors?.[0]?.extensions?.hint).toContain('--trusted-documents')
    }
    expect(await ask(url, { documentId: 'names' })).toEqual(NAMES)
  })

  it.each([[only], [{}]])('a document with the name of another one is refused (%j)', async options => {
    const url = await start(options)
    for (const asked of [
      { query: OTHER, documentId: 'names' },
      { query: OTHER, id: 'names' },
      { query: OTHER, doc_id: 'names' },
      { query: OTHER, extensions: hashed(QUERY) },
      { query: '{ channels }', documentId: 'other' },
      { query: '{ channels }', extensions: hashed(OTHER) },
      { documentId: 'names', id: 'other' },
      { documentId: 'names', extensions: hashed(OTHER) },
    ]) {
      const answer = await ask(url, asked)
      expect([asked, answer.data, codeOf(answer)]).toEqual([asked, undefined, 'BAD_REQUEST'])
    }
  })

  it('the limits on documents hold for untrusted documents only, those on results for all', async () => {
    const limits = { maxDocument: 40, maxTokens: 20, maxDepth: 2, maxAliases: 1, maxRows: 3 }
    const url = await start(limits)
    expect(await ask(url, { documentId: 'names' })).toEqual(NAMES)
    expect(await ask(url, { query: QUERY })).toEqual(NAMES)
    expect(codeOf(await ask(url, { query: `${QUERY} # ` }))).toBeUndefined() // the same tokens
    const limited = async (query: string) => (await ask(url, { query })).errors?.[0]?.extensions
    expect(await limited(QUERY.replace('Names', 'Others'))).toMatchObject({ limit: 'maxDocument' })
    expect(await limited('{ people { rows { id } } }')).toMatchObject({ limit: 'maxDepth' })
    expect(await limited('{ a: channels b: channels }')).toMatchObject({ limit: 'maxAliases' })
    const many = await ask(url, { documentId: 'list', variables: { limit: 100 } })
    expect(many.errors?.[0]?.extensions).toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 'maxRows' })
  })
})

describe('over HTTP', () => {
  it('an untrusted document has status 400, whatever the client accepts as JSON', async () => {
    const url = await start(only)
    for (const accept of ['application/json', 'application/graphql-response+json', '*/*', MULTIPART]) {
      const answer = await post(url, { query: '{ channels }' }, { accept })
      expect(answer.status).toBe(400)
      expect(answer.headers['cache-control']).toBe('no-store')
      expect(JSON.parse(answer.body)).toMatchObject({
        errors: [{ extensions: { code: 'DOCUMENT_NOT_TRUSTED' } }],
      })
    }
  })

  it('neither a batch nor an id that is no text is a way around', async () => {
    const url = await start(only)
    for (const body of [
      [{ query: '{ channels }' }, { documentId: 'names' }],
      { documentId: ['names'], query: '{ channels }' },
      { documentId: { toString: 'names' } },
      { id: 1 },
      'query { channels }',
    ]) {
      const answer = await post(url, body)
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body).data).toBeUndefined()
    }
  })

  it('a trusted mutation does not run by GET', async () => {
    const url = await start(only)
    expect((await get(url, { documentId: 'send' }, 'application/json')).status).toBe(405)
    expect(JSON.parse((await post(url, { documentId: 'send' })).body)).toEqual({ data: { notify: true } })
  })

  it('GraphiQL is off where only trusted documents run, unless it is asked for; the page stays', async () => {
    const html = { accept: 'text/html' }
    const url = await start(only)
    expect((await send(url, { path: '/graphql', headers: html })).body).not.toContain('<html')
    expect((await send(url, { path: '/', headers: html })).status).not.toBe(404)
    await live?.close()
    const shown = await start({ ...only, graphiql: true })
    expect((await send(shown, { path: '/graphql', headers: html })).body).toContain('<html')
    // A browser that opens the address of a document gets its result.
    expect((await send(shown, { path: '/graphql?documentId=other', headers: html })).body).not.toContain(
      '<html',
    )
    await live?.close()
    const open = await start()
    expect((await send(open, { path: '/graphql', headers: html })).body).toContain('<html')
  })
})

describe.each([
  ['graphql-ws', overGraphqlWs],
  ['SSE GET', overSse('GET')],
  ['SSE POST', overSse('POST')],
  ['multipart', overMultipart],
])('a subscription over %s', (_, subscribe) => {
  it('follows a change of the schema where only trusted documents run', async () => {
    const url = await start(only)
    const subscription = await subscribe(url, CHANGES)
    await log.query('insert into people values (100)')
    expect(await nextChange(subscription)).toEqual({ row: { id: 100, name: null } })
    await log.query(`alter table people add column extra int; insert into people values (101, 'a')`)
    expect(await nextChange(subscription)).toEqual({ row: { id: 101, name: 'a' } })
    await subscription.close()
    await log.query('alter table people drop column extra; delete from people where id >= 100')
  })
})

it('a server does not start with a file that it cannot use, or where nothing could run', async () => {
  const bad = join(folder, 'bad.json')
  writeFileSync(bad, JSON.stringify({ good: OTHER, bad: '{ ' }))
  const options = { databaseUrl: log.database.url, port: 0, logLevel: 'silent' as const }
  for (const [given, message] of [
    [{ trustedDocuments: bad }, /bad\.json.*key "bad"/],
    [{ trustedDocuments: join(folder, 'none.json') }, /cannot be read/],
    [{ trustedDocumentsOnly: true }, /trustedDocumentsOnly is given, but the option trustedDocuments is not/],
    [{ trustedDocuments: file, ...only, persistedQueries: 10 }, /exclude each other/],
  ] as const)
    await expect(createServer({ ...options, ...given })).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
      message: expect.stringMatching(message),
    })
})
