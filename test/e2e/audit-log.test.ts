import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sha256Of } from '../../src/graphql/documents/trusted-documents.js'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, type TestSubscription } from '../support/clients.js'
import { resultOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { createObserved } from '../support/observed.js'
import { openConnection, openGraphql, post, send } from '../support/raw.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { VIEWER_TRANSPORTS } from '../support/viewer-transports.js'
import { waitUntil } from '../support/wait.js'

type Line = Readonly<Record<string, unknown>>

let log: TestLog
let roles: TestRoles
let server: ListenqlServer | undefined
const folder = mkdtempSync(join(tmpdir(), 'listenql-audit-'))
const file = join(folder, 'audit.jsonl')
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table people (id int primary key, name text); create table salaries (id int primary key);
    grant select on people to ${roles.user}`)
  await log.watch('people', 'salaries')
})
afterEach(async () => {
  await server?.close()
  server = undefined
  rmSync(file, { force: true })
})
afterAll(async () => {
  await roles?.drop()
  await log?.close()
  rmSync(folder, { recursive: true })
})

async function start(options: ServerOptions = {}): Promise<string> {
  server = await createServer({
    databaseUrl: log.database.url,
    host: 'localhost',
    port: 0,
    logLevel: 'silent',
    auditLog: file,
    jwtSecret: SECRET,
    roleChannels: { [roles.user]: ['room'] },
    rolePublish: { [roles.user]: ['room'] },
    ...options,
  })
  return server.url
}
const tokenOf = (claims: Record<string, unknown> = {}) => sign({ sub: 'ada', role: roles.user, ...claims })
const read = (path = file): Line[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line))
const line = (fields: Line) =>
  waitUntil(
    () => {
      const wanted = Object.entries(fields)
      return read().find(one => wanted.every(([name, value]) => one[name] === value))
    },
    `a line ${JSON.stringify(fields)}`,
  )
const lines = (event: string) => read().filter(one => one.event === event)

const CHANGES =
  'subscription Watch($name: String) { peopleChanged(where: {name: {neq: $name}}) { row { id name } } }'

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('over %s', (name, subscribe) => {
  const transport = name.replace(/ .*/, '').toLowerCase()

  it('a subscription has a line at its start and one at its end: who, from where, what, how long, how much and why', async () => {
    const url = await start()
    const stream = await subscribe(url, CHANGES, { name: 'x' }, { token: await tokenOf() })
    await log.query(`insert into people values (1, 'a'), (2, 'b')`)
    await stream.results.take(2)
    await stream.close()
    const ended = await line({ event: 'subscription.ended' })
    const [started] = lines('subscription.started')
    const about = {
      subscription: 1,
      transport,
      remote: expect.stringMatching(/^(127\.0\.0\.1|::1|::ffff:127\.0\.0\.1):\d+$/),
      role: roles.user,
      user: 'ada',
      topic: expect.stringContaining('people'),
      kind: 'subscription',
      operation: 'Watch',
      fields: ['peopleChanged'],
      document: `sha256:${sha256Of(CHANGES)}`,
    }
    expect(started).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      event: 'subscription.started',
      ...about,
    })
    expect(ended).toEqual({
      time: expect.any(String),
      event: 'subscription.ended',
      ...about,
      ms: expect.any(Number),
      results: 2,
      reason: 'client',
    })
    await log.query('truncate people')
  })

  it('the end of a subscription names its cause', async () => {
    const url = await start({ catalogInterval: 50 })
    const streams: TestSubscription[] = []
    const open = async (document: string, claims: Record<string, unknown> = {}) => {
      streams.push(await subscribe(url, document, {}, { token: await tokenOf(claims) }))
    }
    await open('subscription Expires { channel(name: "room") { payload } }', {
      sub: 'eve',
      exp: inSeconds(2),
    })
    await open('subscription Kicked { channel(name: "room") { payload } }', { sub: 'bob' })
    await log.database.query(`select listenql.kick('sub', 'bob')`)
    expect(await line({ event: 'subscription.ended', operation: 'Kicked' })).toMatchObject({
      reason: 'kicked',
    })
    expect(await line({ event: 'session.ended', user: 'bob' })).toMatchObject({ reason: 'kicked', transport })
    await open('subscription Altered { peopleChanged { row { extra: name } } }')
    await log.query('alter table people rename name to title')
    expect(await line({ event: 'subscription.ended', operation: 'Altered' })).toMatchObject({
      reason: 'SCHEMA_CHANGED',
    })
    await log.query('alter table people rename title to name')
    expect(await line({ event: 'subscription.ended', operation: 'Expires' })).toMatchObject({
      reason: 'token-expired',
    })
    await open('subscription Stopped { channel(name: "room") { payload } }')
    await server?.close()
    expect(read().at(-1)).toMatchObject({
      event: 'subscription.ended',
      operation: 'Stopped',
      reason: 'stopping',
    })
    for (const stream of streams) await stream.close()
  })

  it('a refusal has a line: token, rights to tables and channels, limits, untrusted documents', async () => {
    const url = await start({ maxAliases: 1, maxSubscriptionsPerViewer: 1 })
    const attempt = async (document: string, token: string | undefined) =>
      subscribe(url, document, {}, { token }).then(
        stream => stream.close(),
        () => undefined,
      )
    await attempt('subscription { channel(name: "room") { payload } }', undefined)
    expect(await line({ event: 'refused', code: 'UNAUTHENTICATED' })).toMatchObject({
      remote: expect.any(String),
    })
    const token = await tokenOf()
    for (const [document, fields] of [
      ['subscription A { salariesChanged { row { id } } }', { code: 'FORBIDDEN', operation: 'A' }],
      [
        'subscription B { channel(name: "other") { payload } }',
        { code: 'CHANNEL_NOT_ALLOWED', operation: 'B' },
      ],
      [
        'subscription C { a: channel(name: "room") { b: payload } }',
        { code: 'LIMIT_EXCEEDED', limit: 'maxAliases' },
      ],
    ] as const) {
      await attempt(document, token)
      expect(await line({ event: 'refused', user: 'ada', ...fields })).toMatchObject({ role: roles.user })
    }
    const first = await subscribe(url, 'subscription { channel(name: "room") { payload } }', {}, { token })
    await attempt('subscription D { channel(name: "room") { payload } }', token)
    expect(await line({ event: 'refused', limit: 'maxSubscriptionsPerViewer' })).toMatchObject({
      user: 'ada',
      operation: 'D',
      transport,
    })
    await first.close()
  })
})

it('a client that does not keep up has a line with the reason', async () => {
  const url = await start({ maxBuffer: 1000, stallTimeout: 100 })
  const query = encodeURIComponent('subscription Slow { channel(name: "room") { payload } }')
  const connection = await openConnection(url)
  connection.socket.write(
    `GET /graphql?query=${query} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nauthorization: Bearer ${await tokenOf()}\r\n\r\n`,
  )
  await line({ event: 'subscription.started', operation: 'Slow' })
  connection.socket.pause()
  await log.database.query(`select pg_notify('room', g || repeat('x', 7900)) from generate_series(1, 4000) g`)
  const { reason } = await line({ event: 'subscription.ended', operation: 'Slow' })
  expect(['buffer-full', 'stalled']).toContain(reason)
  connection.socket.destroy()
})

it('a raw WebSocket has lines without an operation', async () => {
  const url = await start()
  const raw = VIEWER_TRANSPORTS.find(({ name }) => name.includes('listen'))
  const attempt = await raw?.listen(url, 'room', await tokenOf())
  if (attempt?.kind !== 'open') throw new Error('not open')
  await log.database.query(`notify room, 'x'`)
  await attempt.subscription.results.next()
  await attempt.subscription.close()
  expect(await line({ event: 'subscription.ended' })).toMatchObject({
    ...{ transport: 'listen', topic: 'room', user: 'ada', results: 1, reason: 'client' },
  })
  await raw?.listen(url, 'other', await tokenOf())
  expect(await line({ event: 'refused', status: 403 })).toMatchObject({ transport: 'websocket' })
})

it('origins, untrusted documents and publishes have lines', async () => {
  const url = await start({ trustedDocuments: documents(), trustedDocumentsOnly: true })
  await send(url, { path: '/graphql?query={channels}', headers: { origin: 'https://evil.example' } })
  expect(await line({ event: 'refused', status: 403 })).toMatchObject({
    transport: 'http',
    detail: expect.stringContaining('https://evil.example'),
  })
  const authorization = `Bearer ${await tokenOf()}`
  await post(url, { query: '{ channels }' }, { authorization })
  expect(await line({ event: 'refused', code: 'DOCUMENT_NOT_TRUSTED' })).toMatchObject({
    user: 'ada',
    transport: 'http',
  })
  await post(url, { documentId: 'publish', variables: { payload: 'PLANTED-PAYLOAD' } }, { authorization })
  expect(await line({ event: 'published' })).toEqual({
    ...{ time: expect.any(String), event: 'published', transport: 'http', remote: expect.any(String) },
    ...{ role: roles.user, user: 'ada', channel: 'room' },
  })
  const socket = await openGraphql(url, { init: false })
  socket.send({ type: 'connection_init', payload: { authorization } })
  await socket.next()
  socket.send({ type: 'subscribe', id: '1', payload: { documentId: 'listen', query: '' } })
  expect(await line({ event: 'subscription.started' })).toMatchObject({
    document: 'listen',
    operation: 'Listen',
  })
  socket.webSocket.terminate()
})

function documents(): string {
  const path = join(folder, 'documents.json')
  const texts = {
    publish: 'mutation Publish($payload: String!) { notify(channel: "room", payload: $payload) }',
    listen: 'subscription Listen { channel(name: "room") { payload } }',
  }
  writeFileSync(path, JSON.stringify(texts))
  return path
}

it('no line has a token, a claim other than sub, a row, a payload, or the value of an argument or variable', async () => {
  const url = await start({ tokenCookie: 'session', maxAliases: 1 })
  const planted = 'PLANTED'
  const token = await tokenOf({ email: `${planted}-claim`, nested: { secret: `${planted}-nested` } })
  const [, body, signature = ''] = token.split('.')
  const variables = { name: `${planted}-variable` }
  const literal =
    'subscription L { peopleChanged(where: {name: {neq: "PLANTED-literal"}}) { row { id name } } }'
  for (const subscribe of Object.values(GRAPHQL_TRANSPORTS)) {
    for (const document of [CHANGES, literal, 'subscription Room { channel(name: "room") { payload } }']) {
      const stream = await subscribe(url, document, variables, { token })
      await log.query(
        `insert into people values (7, 'PLANTED-row'); delete from people; notify room, 'PLANTED-payload'`,
      )
      await stream.results.next()
      await stream.close()
    }
    for (const document of [
      'subscription R { salariesChanged(where: {id: {in: [42]}}) { row { id } } }',
      'subscription S { a: peopleChanged(where: {name: {eq: "PLANTED-refused"}}) { b: row { id } } }',
      'subscription T { peopleChanged(where: {id: {eq: "PLANTED-invalid"}}) { row { id } } }',
    ])
      await subscribe(url, document, variables, { token }).then(
        stream => stream.close(),
        () => undefined,
      )
    for (const bad of [
      `${token}x`,
      `${planted}-bad-token`,
      await tokenOf({ role: 'PLANTED-role-unknown', aud: 'x' }),
    ])
      await subscribe(url, CHANGES, variables, { token: bad }).then(
        stream => stream.close(),
        () => undefined,
      )
  }
  for (const { listen } of VIEWER_TRANSPORTS) {
    const attempt = await listen(url, 'room', token)
    if (attempt.kind === 'open') await attempt.subscription.close()
    await listen(url, 'room', `${planted}-listen-token`)
  }
  await send(url, {
    path: `/graphql?access_token=${token}&query={channels}`,
    headers: { origin: 'https://evil.example' },
  })
  await send(url, { path: `/nothing?access_token=${token}`, headers: { host: 'evil.example' } })
  await send(url, {
    path: '/graphql?query={channels}',
    headers: { cookie: `session=${token}`, 'sec-fetch-site': 'same-origin' },
  })
  await post(
    url,
    {
      query: 'mutation ($p: String!) { notify(channel: "room", payload: $p) }',
      variables: { p: 'PLANTED-notify' },
    },
    { authorization: `Bearer ${token}` },
  )
  await post(
    url,
    { query: 'mutation { notify(channel: "closed", payload: "PLANTED-closed") }' },
    { authorization: `Bearer ${token}` },
  )
  await resultOf(url, '{ salaries { cursor } }', { token, variables })
  await server?.close()
  const text = readFileSync(file, 'utf8')
  const events = new Set(read().map(({ event }) => event))
  expect([...events].sort()).toEqual(['published', 'refused', 'subscription.ended', 'subscription.started'])
  // The reason for a refused token names the role that the token asks for.
  expect(text.replaceAll('PLANTED-role-unknown', '')).not.toContain(planted)
  for (const secret of [token, body, signature]) expect(text).not.toContain(secret)
  expect(text).not.toContain('access_token')
})

it('a server does not start without its audit log, and runs on while it cannot be written', async () => {
  const nowhere = join(folder, 'no such folder', 'audit.jsonl')
  await expect(start({ auditLog: nowhere })).rejects.toMatchObject({
    code: 'BAD_CONFIGURATION',
    message: expect.stringContaining('the audit log cannot be written: ENOENT'),
  })
  const observed = createObserved()
  const url = await start({ auditLog: '/dev/full', observe: observed.observe })
  const stream = await GRAPHQL_TRANSPORTS['SSE POST']?.(url, CHANGES, {}, { token: await tokenOf() })
  await observed.until('audit.lost', { lines: 0 })
  await log.query(`insert into people values (9, 'delivered'); delete from people`)
  expect(await stream?.results.next()).toMatchObject({ data: { peopleChanged: { row: { id: 9 } } } })
  await stream?.close()
  await server?.close()
  expect(observed.all('audit.lost').at(-1)).toMatchObject({
    lines: 2,
    reason: expect.stringContaining('ENOSPC'),
  })
})

it('only the user of the server can read the file', async () => {
  await start()
  expect(statSync(file).mode & 0o777).toBe(0o600)
})
