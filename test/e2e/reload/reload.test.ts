import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createClient } from '../../../src/client/index.js'
import {
  createServer,
  type ListenqlServer,
  type Observation,
  type ServerOptions,
} from '../../../src/index.js'
import { makeCertificate } from '../../support/certificates.js'
import { overGraphqlWs, TRANSPORTS } from '../../support/clients.js'
import { resultOf } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'
import { VIEWER_TRANSPORTS } from '../../support/viewer-transports.js'

let log: TestLog
let folder: string
let server: ListenqlServer
let observations: Observation[]
beforeEach(async () => {
  log = await createLog()
  folder = mkdtempSync(join(tmpdir(), 'listenql-reload-'))
  observations = []
})
afterEach(async () => {
  await server?.close()
  await log?.close()
  rmSync(folder, { recursive: true })
})

const file = (name: string) => join(folder, name)
/** Writes a file as careful programs do: a reader sees the former content or the new one. */
function replace(name: string, content: string): string {
  writeFileSync(file(`${name}.new`), content)
  renameSync(file(`${name}.new`), file(name))
  return file(name)
}
const common = (): ServerOptions => ({
  databaseUrl: log.database.url,
  host: 'localhost',
  port: 0,
  logLevel: 'silent',
  catalogInterval: 50,
})
async function start(options: ServerOptions): Promise<void> {
  server = await createServer({
    ...common(),
    ...options,
    observe: observation => observations.push(observation),
  })
}
const reload = (options: ServerOptions) => server.reload({ ...common(), ...options })
const ofType = <T extends Observation['type']>(type: T) =>
  observations.filter((one): one is Extract<Observation, { type: T }> => one.type === type)

describe('channels', () => {
  it.each(Object.entries(TRANSPORTS))(
    'that are no longer allowed end at once, and others go on: %s',
    async (_name, listen) => {
      await start({ channels: ['a', 'b'] })
      const [a, b] = [await listen(server.url, 'a'), await listen(server.url, 'b')]
      expect(reload({ channels: ['a', 'c'] })).toEqual({ changed: ['channels'], needsRestart: [] })
      await b.ended
      await log.query('notify a, $$still here$$; notify b, $$lost$$')
      await a.results.next('an event of the channel that is still allowed')
      expect(ofType('viewer.ended')).toMatchObject([{ why: 'channel-lost' }])
      await (await listen(server.url, 'c')).close()
      expect((await resultOf(server.url, '{ channels }')).data).toEqual({ channels: ['a', 'c'] })
      await a.close()
    },
  )

  it('that are no longer allowed end for a client, whose other subscriptions on the same socket resume', async () => {
    await log.query('create table t (id int primary key)')
    await log.watch('t')
    await start({ channels: ['a', 'b'] })
    const client = createClient({
      url: `${server.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryWait: async () => undefined,
    })
    const ended: unknown[] = []
    const rows: unknown[] = []
    client.subscribe(
      { query: 'subscription { channel(name: "b") { payload } }' },
      {
        next: result => ended.push(result),
        error: error => ended.push(error),
        complete: () => ended.push('complete'),
      },
    )
    client.subscribe(
      { query: 'subscription { tChanged { key { id } } }' },
      {
        next: result => rows.push(result.data),
        error: error => ended.push(error),
        complete: () => undefined,
      },
    )
    await expect.poll(() => ofType('subscriber.joined').length, { timeout: 20_000 }).toBe(2)
    reload({ channels: ['a'] })
    await log.query('insert into t values (1)')
    await expect.poll(() => rows, { timeout: 20_000 }).toMatchObject([{ tChanged: { key: { id: 1 } } }])
    await expect
      .poll(() => ended, { timeout: 20_000 })
      .toMatchObject([{ errors: [{ extensions: { code: 'CHANNEL_NOT_ALLOWED' } }] }, 'complete'])
    await client.dispose()
  })

  it('that are no longer allowed end for all clients, although the observer of an application fails', async () => {
    server = await createServer({
      ...common(),
      channels: ['a'],
      observe({ type }) {
        if (type === 'viewer.ended') throw new Error('a fault of the application')
      },
    })
    const open = await Promise.all(Object.values(TRANSPORTS).map(listen => listen(server.url, 'a')))
    expect(reload({ channels: ['b'], maxDepth: 3 }).changed).toEqual(['channels', 'maxDepth'])
    await Promise.all(open.map(({ ended }) => ended))
  })

  it('of roles change for viewers that are connected', async () => {
    const roles = await createRoles(log)
    const options = (channel: string): ServerOptions => ({
      jwtSecret: SECRET,
      roleChannels: { [roles.user]: [channel] },
    })
    await start(options('a'))
    const token = await sign({ role: roles.user, sub: 'u' })
    for (const { name, listen } of VIEWER_TRANSPORTS) {
      const attempt = await listen(server.url, 'a', token)
      if (attempt.kind !== 'open') throw new Error(`${name}: ${attempt.text}`)
      reload(options('b'))
      await attempt.subscription.ended
      const other = await listen(server.url, 'b', token)
      expect([name, other.kind]).toEqual([name, 'open'])
      if (other.kind === 'open') await other.subscription.close()
      reload(options('a'))
    }
    await roles.drop()
  })
})

describe('keys of tokens', () => {
  const OTHER = 'another secret, which has more than 32 bytes, too'
  let roles: TestRoles
  beforeEach(async () => {
    roles = await createRoles(log)
  })
  afterEach(() => roles?.drop())
  const isAccepted = async (secret: string) =>
    (await resultOf(server.url, '{ channels }', { token: await sign({ role: roles.user }, { secret }) }))
      .errors === undefined

  it('are exchanged by a reload, and open connections stay', async () => {
    await start({ jwtSecret: SECRET, channels: ['*'] })
    const [ws] = VIEWER_TRANSPORTS
    const attempt = await ws?.listen(server.url, 'kept', await sign({ role: roles.user }))
    if (attempt?.kind !== 'open') throw new Error('refused')
    reload({ jwtSecret: OTHER, channels: ['*'] })
    expect([await isAccepted(SECRET), await isAccepted(OTHER)]).toEqual([false, true])
    await log.query('notify kept')
    await attempt.subscription.results.next('an event')
    await attempt.subscription.close()
  })

  it('are read again when their file changes, and an unusable file changes nothing', async () => {
    const jwtSecretFile = replace('secret', SECRET)
    await start({ jwtSecretFile })
    replace('secret', OTHER)
    await expect.poll(() => isAccepted(OTHER), { timeout: 20_000 }).toBe(true)
    expect(await isAccepted(SECRET)).toBe(false)
    expect(ofType('settings.reloaded')).toEqual([
      { type: 'settings.reloaded', changed: [], needsRestart: [], isAsked: false },
    ])
    replace('secret', 'too short')
    await expect.poll(() => ofType('settings.refused').length, { timeout: 20_000 }).toBe(1)
    expect(ofType('settings.refused')[0]?.message).toMatch(/has 9 bytes/)
    expect(await isAccepted(OTHER)).toBe(true)
  })

  it('may be in a file that begins with a comment, as openssl writes them', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const pem = publicKey.export({ type: 'spki', format: 'pem' })
    await start({ jwtPublicKey: replace('key.pem', `The key of the issuer\n${pem}`) })
    const token = await new SignJWT({ role: roles.user })
      .setProtectedHeader({ alg: 'EdDSA' })
      .sign(privateKey)
    expect(await resultOf(server.url, '{ channels }', { token })).toHaveProperty('data')
  })

  it('cannot appear or vanish without a restart', async () => {
    await start({ jwtSecret: SECRET })
    expect(() => reload({})).toThrow('no option identifies viewers any more')
    expect(await isAccepted(SECRET)).toBe(true)
    await server.close()
    await start({})
    expect(() => reload({ jwtSecret: SECRET, maxDepth: 3 })).toThrow('viewers begin to have roles')
    const settings = ofType('settings.refused')
    expect(settings).toHaveLength(2)
    expect(reload({ maxDepth: 3 }).changed).toEqual(['maxDepth']) // it was not changed by the refused reload
  })
})

describe('certificates', () => {
  const subject = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(
        { port: Number(new URL(server.httpsUrl ?? '').port), host: 'localhost', rejectUnauthorized: false },
        () => {
          resolve(String(socket.getPeerCertificate().subject.CN))
          socket.destroy()
        },
      ).on('error', reject)
    })

  it('are exchanged when their files change, and by a reload; a key of another certificate is refused', async () => {
    const { cert: tlsCert, key: tlsKey } = await makeCertificate(folder, 'first')
    await start({ tlsCert, tlsKey, httpsPort: 0 })
    expect(await subject()).toBe('first')
    await makeCertificate(folder, 'second')
    await expect.poll(subject, { timeout: 20_000 }).toBe('second')
    await makeCertificate(folder, 'third')
    reload({ tlsCert, tlsKey, httpsPort: 0 })
    expect(await subject()).toBe('third')
    replace('server.key', 'no key')
    expect(() => reload({ tlsCert, tlsKey, httpsPort: 0 })).toThrow('the TLS certificate and key do not work')
    expect(await subject()).toBe('third')
  })
})

async function runTrusted(id: string): Promise<string[]> {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ documentId: id }),
  })
  return Object.keys((await response.json()) as object)
}

it('trusted documents are read again when their file changes', async () => {
  const trustedDocuments = replace('documents.json', JSON.stringify({ one: '{ channels }' }))
  await start({ trustedDocuments, trustedDocumentsOnly: true })
  expect([await runTrusted('one'), await runTrusted('two')]).toEqual([['data'], ['errors']])
  replace('documents.json', JSON.stringify({ two: '{ mayPublish(channel: "x") }' }))
  await expect.poll(() => runTrusted('two'), { timeout: 20_000 }).toEqual(['data'])
  expect(await runTrusted('one')).toEqual(['errors'])
})

it('declared tables are compared again: new ones are watched, and others only end with unwatchOthers', async () => {
  await log.query('create table one (id int primary key); create table two (id int primary key)')
  await start({ tables: ['one'] })
  const watched = async () => (await log.query('select count(*)::int from listenql.watched'))[0]?.count
  expect(await watched()).toBe(1)
  expect(reload({ tables: ['two'] })).toEqual({ changed: ['tables'], needsRestart: [] })
  await expect.poll(watched, { timeout: 20_000 }).toBe(2)
  await expect.poll(() => ofType('tables.undeclared').at(-1)?.tables, { timeout: 20_000 }).toEqual(['one'])
  reload({ tables: ['two'], unwatchOthers: true })
  await expect.poll(watched, { timeout: 20_000 }).toBe(1)
  await expect
    .poll(async () => Object.keys(await resultOf(server.url, '{ two { cursor } }')), { timeout: 20_000 })
    .toEqual(['data'])
})

it('the limits of the event log change the next time that it is rotated', async () => {
  await log.query('create table t (id int, v text)')
  await log.watch('t')
  await start({ retention: 8000 })
  await log.query(
    `insert into t select g, (select string_agg(md5(g::text || i), '') from generate_series(1, 16) i) from generate_series(1, 5000) g`,
  )
  reload({ retention: 8000, maxLogSize: 2 ** 20 })
  await expect.poll(() => ofType('log.cap-exceeded').length, { timeout: 30_000 }).toBeGreaterThan(0)
}, 40_000)

it('origins change for the next request', async () => {
  await start({})
  const from = async (origin: string) => (await fetch(`${server.url}/readyz`, { headers: { origin } })).status
  expect(await from('https://a.example')).toBe(403)
  reload({ corsOrigins: ['https://a.example'] })
  expect(await from('https://a.example')).toBe(200)
})

it('what is left of the former settings must fit the new ones', async () => {
  const trustedDocuments = replace('documents.json', JSON.stringify({ one: '{ channels }' }))
  await start({ trustedDocuments, trustedDocumentsOnly: true })
  expect(() => reload({})).toThrow(
    expect.objectContaining({
      code: 'BAD_CONFIGURATION',
      hint: 'until a restart, the former values stay in force of --trusted-documents-only',
    }),
  )
  expect(await runTrusted('one')).toEqual(['data'])
  expect(await resultOf(server.url, '{ __typename }')).toMatchObject({ errors: [{}] })
})

it('a file that changes while the server starts is read again', async () => {
  const trustedDocuments = replace('documents.json', JSON.stringify({ one: '{ channels }' }))
  server = await createServer({
    ...common(),
    trustedDocuments,
    exitOnError: true, // the start waits for the tables
    observe({ type }) {
      if (type === 'schema.built') replace('documents.json', JSON.stringify({ two: '{ channels }' }))
    },
  })
  await expect.poll(() => runTrusted('two'), { timeout: 20_000 }).toEqual(['data'])
})

it('a server reloads with all options that it was created with', async () => {
  const options: ServerOptions = { ...common(), observe: () => undefined, channels: ['a'] }
  server = await createServer(options)
  expect(server.reload({ ...options, channels: ['b'] }).changed).toEqual(['channels'])
})

it('a lower limit on filters ends only the open subscriptions that exceed it, and says so', async () => {
  await log.query('create table people (id int primary key, name text)')
  await log.watch('people')
  await start({})
  const open = (filter: string) =>
    overGraphqlWs(server.url, `subscription { peopleChanged(where: ${filter}) { operation } }`)
  const [deep, flat] = [await open('{not: {not: {id: {gt: 0}}}}'), await open('{id: {gt: 0}}')]
  reload({ maxFilterDepth: 1 })
  expect(await deep.results.next('the end')).toMatchObject({
    errors: [
      { message: expect.stringContaining('nested more than 1 deep'), extensions: { code: 'SCHEMA_CHANGED' } },
    ],
  })
  await log.query(`insert into people values (1, 'a')`)
  expect(await flat.results.next('a change')).toMatchObject({
    data: { peopleChanged: { operation: 'INSERT' } },
  })
  await deep.close()
  await flat.close()
})

it('an error in one option changes none', async () => {
  await start({ channels: ['a'] })
  expect(() => reload({ channels: ['b'], trustedDocuments: file('absent.json') })).toThrow(
    expect.objectContaining({ code: 'BAD_CONFIGURATION' }),
  )
  const { data } = (await resultOf(server.url, '{ channels }')) as { data: { channels: string[] } }
  expect(data.channels).toEqual(['a'])
  expect(ofType('settings.refused')).toHaveLength(1)
})
