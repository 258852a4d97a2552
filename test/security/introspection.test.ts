import { getIntrospectionQuery } from 'graphql'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { openWebSocket, post, send } from '../support/raw.js'
import { SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'

let log: TestLog
let roles: TestRoles
let server: ListenqlServer | undefined
let token: string
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table people (id int primary key, name text);
    create table salaries (id int primary key, amount int);
    grant select (id, name) on people to ${roles.user}`)
  await log.watch('people', 'salaries')
  token = await sign({ role: roles.user, sub: 'a' })
})
afterEach(async () => {
  await server?.close()
  server = undefined
})
afterAll(async () => {
  await roles?.drop()
  await log?.close()
})

async function start(options: ServerOptions): Promise<string> {
  server = await createServer({ databaseUrl: log.database.url, port: 0, logLevel: 'silent', ...options })
  return server.url
}
const auth = () => ({ authorization: `Bearer ${token}` })
const html = { accept: 'text/html' }
const withRoles = () => ({
  jwtSecret: SECRET,
  roleChannels: { [roles.user]: [`room:\${claims.sub}`], [roles.anonymous]: ['secret*'] },
})

/** Nearly correct names, for which graphql-js suggests the right one. */
const MISSES: readonly [string, Record<string, unknown>?][] = [
  ['{ peopl { cursor } }'],
  ['{ people { row { id } } }'],
  ['{ people { rows { nam } } }'],
  ['{ people(wher: {}) { cursor } }'],
  ['{ people(where: {nam: {eq: "x"}}) { cursor } }'],
  ['{ people(where: {name: {equ: "x"}}) { cursor } }'],
  ['{ people(orderBy: [{id: ASCE}]) { cursor } }'],
  ['query ($w: PeopleFilte) { people(where: $w) { cursor } }'],
  ['{ people { rows { ... on Peopl { id } } } }'],
  ['query ($w: PeopleFilter) { people(where: $w) { cursor } }', { w: { nam: { eq: 'x' } } }],
  ['query ($o: [PeopleOrderBy!]) { people(orderBy: $o) { cursor } }', { o: [{ id: 'ASCE' }] }],
]

describe('once viewers have roles', () => {
  it('neither the schema nor GraphiQL is shown, on any transport', async () => {
    const url = await start(withRoles())
    for (const query of [
      getIntrospectionQuery(),
      '{ __schema { types { name } } }',
      '{ __type(name: "People") { name } }',
    ]) {
      for (const accept of [
        'application/json',
        'text/event-stream',
        'multipart/mixed;subscriptionSpec=1.0',
      ]) {
        const { body } = await post(url, { query }, { ...auth(), accept })
        expect(body).toContain('introspection has been disabled')
        expect(body).not.toMatch(/People/)
      }
    }
    const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
    socket.send({ type: 'connection_init', payload: { Authorization: `Bearer ${token}` } })
    await socket.messages.next()
    socket.send({ id: '1', type: 'subscribe', payload: { query: '{ __schema { types { name } } }' } })
    expect(await socket.messages.next()).toContain('introspection has been disabled')
    socket.webSocket.terminate()
    expect((await send(url, { path: '/graphql', headers: { ...html, ...auth() } })).body).not.toContain(
      '<html',
    )
    // `__typename`, which clients add to their selections, still works.
    expect(await post(url, { query: '{ __typename }' }, auth())).toMatchObject({ status: 200 })
  })

  it.each(MISSES)('no error suggests a name: %s', async (query, variables = {}) => {
    const url = await start(withRoles())
    const bodies = [(await post(url, { query, variables }, auth())).body]
    for (const [name, subscribe] of Object.entries(GRAPHQL_TRANSPORTS)) {
      if (name === 'multipart') continue // multipart answers in JSON, as above
      const subscription = await subscribe(url, query, variables, { token })
      bodies.push(JSON.stringify(await subscription.results.next()))
      await subscription.close()
    }
    for (const body of bodies) {
      expect(JSON.parse(body).errors[0].message).not.toBe('')
      expect(body).not.toMatch(/did you mean/i)
    }
  })

  it('watchedTables and channels list what the viewer may use, and nothing else', async () => {
    const url = await start(withRoles())
    const query = '{ channels watchedTables { name columns { name } } }'
    const { body } = await post(url, { query }, auth())
    expect(JSON.parse(body).data).toEqual({
      channels: ['room:a'],
      watchedTables: [{ name: 'people', columns: [{ name: 'id' }, { name: 'name' }] }],
    })
  })

  it('both can be turned on', async () => {
    const url = await start({ ...withRoles(), introspection: true, graphiql: true })
    const { body } = await post(url, { query: getIntrospectionQuery() }, auth())
    expect(body).toContain('"PeopleFilter"')
    expect((await post(url, { query: MISSES[0]?.[0] }, auth())).body).toContain('Did you mean')
    expect((await send(url, { path: '/graphql', headers: html })).body).toContain('<html')
  })
})

describe('without roles', () => {
  it('both are on', async () => {
    const url = await start({})
    expect((await post(url, { query: getIntrospectionQuery() })).body).toContain('"PeopleFilter"')
    expect((await send(url, { path: '/graphql', headers: html })).body).toContain('<html')
  })

  it('each can be turned off', async () => {
    const url = await start({ introspection: false, graphiql: false })
    for (const [query, variables] of MISSES) {
      expect((await post(url, { query, variables })).body).not.toMatch(/did you mean/i)
    }
    expect((await post(url, { query: getIntrospectionQuery() })).body).toContain('has been disabled')
    expect((await send(url, { path: '/graphql', headers: html })).body).not.toContain('<html')
  })
})
