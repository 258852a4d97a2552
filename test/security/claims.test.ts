import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS } from '../support/clients.js'
import { codeOf, resultOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { inSeconds, SECRET, sign, signText } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
let roles: TestRoles
const servers: ListenqlServer[] = []

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table items (id int primary key, tenant numeric, owner text);
    create table notes (id int primary key, owner text);
    create table revoked (jti text); grant select on items, notes, revoked to ${roles.user};
    alter table items enable row level security; alter table notes enable row level security;
    create policy tenant on items using (tenant = (select (current_setting('request.jwt.claims')::json ->> 'tenant')::numeric));
    create policy mine on notes using (owner = current_setting('request.jwt.claims')::json ->> 'sub')`)
  await log.watch('items', 'notes')
})
afterAll(async () => {
  for (const server of servers) await server.close()
  await roles?.drop()
  await log?.close()
})

async function start(options: ServerOptions = {}): Promise<ListenqlServer> {
  const server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    ...options,
  })
  servers.push(server)
  return server
}

const overWs = GRAPHQL_TRANSPORTS['graphql-ws'] as (typeof GRAPHQL_TRANSPORTS)[string]
const tenant = (digits: string) =>
  signText(`{"role":"${roles.user}","sub":"a","tenant":${digits},"iat":${inSeconds(0)}}`)

async function ask(server: ListenqlServer, query: string, token: string): Promise<unknown> {
  const result = await resultOf(server.url, query, { token })
  return codeOf(result) ?? result.data
}

const ITEMS = 'subscription { itemsChanged { row { id } } }'
const NOTES = 'subscription { notesChanged { row { id } } }'
const idOf = (result: unknown) => {
  const { data } = result as { data: Record<string, { row: { id: number } }> }
  return Object.values(data)[0]?.row.id
}

describe('a number beyond 2^53 in a token', () => {
  it.each(Object.entries(GRAPHQL_TRANSPORTS))(
    'is compared with all its digits, over %s',
    async (_name, subscribe) => {
      const server = await start()
      await log.query('delete from items')
      const [even, odd, nested] = [
        await subscribe(server.url, ITEMS, {}, { token: tenant('9007199254740992') }),
        await subscribe(server.url, ITEMS, {}, { token: tenant('9007199254740993') }),
        await subscribe(server.url, ITEMS, {}, { token: tenant('{"x":1},"tenant":90071992547409930e-1') }),
      ]
      await log.query(
        `insert into items values (1, 9007199254740992), (2, 9007199254740993), (3, 9007199254740994)`,
      )
      await log.query(`insert into items values (4, 9007199254740992), (5, 9007199254740993)`)
      expect((await even.results.take(2)).map(idOf)).toEqual([1, 4])
      expect((await odd.results.take(2)).map(idOf)).toEqual([2, 5])
      expect((await nested.results.take(2)).map(idOf)).toEqual([2, 5])
      expect(await ask(server, '{ items { rows { id } } }', tenant('9007199254740993'))).toEqual({
        items: { rows: [{ id: 2 }, { id: 5 }] },
      })
      for (const each of [even, odd, nested]) await each.close()
    },
  )

  it('keeps all its digits in channel patterns and kicks', async () => {
    const server = await start({ roleChannels: { [roles.user]: [`room:\${claims.tenant}`] } })
    const channel = 'subscription ($name: String!) { channel(name: $name) { payload } }'
    const listen = (digits: string, name: string) =>
      overWs(server.url, channel, { name }, { token: tenant(digits) })
    const wrong = await listen('9007199254740993', 'room:9007199254740992')
    expect(codeOf(await wrong.results.next())).toBe('CHANNEL_NOT_ALLOWED')
    const [odd, even] = [
      await listen('9007199254740993', 'room:9007199254740993'),
      await listen('9007199254740992', 'room:9007199254740992'),
    ]
    await log.query(`select listenql.kick('tenant', '9007199254740993')`)
    expect(await odd.ended).toBe('4403')
    await log.query(`select pg_notify('room:9007199254740992', 'still here')`)
    expect(await even.results.next()).toMatchObject({ data: { channel: { payload: 'still here' } } })
    await even.close()
  })

  it('may come from authenticate, as a bigint', async () => {
    const server = await start({
      jwtSecret: undefined,
      authenticate: ({ request }) => ({
        role: roles.user,
        claims: { tenant: BigInt(request.headers.authorization?.slice(7) ?? 0) },
      }),
    })
    await log.query(
      'delete from items; insert into items values (1, 9007199254740992), (2, 9007199254740995)',
    )
    expect(await ask(server, '{ items { rows { id } } }', '9007199254740995')).toEqual({
      items: { rows: [{ id: 2 }] },
    })
  })

  it('reaches policies unchanged', async () => {
    const server = await start()
    await log.query(`delete from items; create policy texts on items as permissive using (
      owner = any (array(select json_array_elements_text(current_setting('request.jwt.claims')::json -> 'texts'))))`)
    await log.query(
      `insert into items values (1, 0, '1.0'), (2, 0, '1'), (3, 0, '-0'), (4, 0, '1e400'), (5, 0, '0')`,
    )
    const token = signText(`{"role":"${roles.user}","sub":"a","tenant":-1,"texts":[1.0,-0,1e400]}`)
    expect(await ask(server, '{ items { rows { id } } }', token)).toEqual({
      items: { rows: [{ id: 1 }, { id: 3 }, { id: 4 }] },
    })
    const stream = await overWs(server.url, ITEMS, {}, { token })
    await log.query(`insert into items values (6, 0, '1'), (7, 0, '1e400')`)
    expect(idOf(await stream.results.next())).toBe(7)
    await stream.close()
    await log.query('drop policy texts on items')
  })
})

describe('claims of the token itself', () => {
  const token = (jti: string) =>
    sign({ role: roles.user, sub: 'ann', jti, exp: inSeconds(600), nbf: inSeconds(-9) })

  it('are visible to policies: a list of revoked tokens works', async () => {
    await log.query(`truncate revoked; delete from notes; create policy listed on notes as restrictive using (
      not exists (select from revoked where jti = current_setting('request.jwt.claims')::json ->> 'jti'))`)
    const server = await start()
    const [good, bad] = [
      await overWs(server.url, NOTES, {}, { token: await token('good') }),
      await overWs(server.url, NOTES, {}, { token: await token('bad') }),
    ]
    await log.query(`insert into notes values (1, 'ann')`)
    expect([idOf(await good.results.next()), idOf(await bad.results.next())]).toEqual([1, 1])
    await log.query(`insert into revoked values ('bad')`)
    await log.query(`insert into notes values (2, 'ann')`)
    await log.query(`truncate revoked`)
    await log.query(`insert into notes values (3, 'ann')`)
    expect([idOf(await good.results.next()), idOf(await good.results.next())]).toEqual([2, 3])
    const next = idOf(await bad.results.next())
    expect([2, 3]).toContain(next) // policies see the present state of other tables
    await log.query(`insert into revoked values ('bad')`)
    expect(await ask(server, '{ notes { rows { id } } }', await token('bad'))).toEqual({
      notes: { rows: [] },
    })
    expect(await ask(server, '{ notes { rows { id } } }', await token('good'))).toMatchObject({
      notes: { rows: [{}, {}, {}] },
    })
    await Promise.all([good.close(), bad.close()])
    await log.query('drop policy listed on notes; truncate revoked')
  })

  it('separate streams once a policy reads them, and not before', async () => {
    const server = await start()
    const [one, two] = [
      await overWs(server.url, NOTES, {}, { token: await token('one') }),
      await overWs(server.url, NOTES, {}, { token: await token('two') }),
    ]
    await log.query(`insert into notes values (11, 'ann')`)
    expect([idOf(await one.results.next()), idOf(await two.results.next())]).toEqual([11, 11])
    await log.query(
      `create policy listed on notes as restrictive using (current_setting('request.jwt.claims')::json ->> 'jti' <> 'two')`,
    )
    await log.query(`insert into notes values (12, 'ann')`)
    expect([codeOf(await one.results.next()), codeOf(await two.results.next())]).toEqual([
      'SCHEMA_CHANGED',
      'SCHEMA_CHANGED',
    ])
    const again = await waitUntil(async () => {
      const stream = await overWs(server.url, NOTES, {}, { token: await token('one') })
      await log.query(`insert into notes values ((select max(id) + 1 from notes), 'ann')`)
      return codeOf(await stream.results.next()) === undefined ? stream : undefined
    }, 'the policies to be looked at again')
    const other = await overWs(server.url, NOTES, {}, { token: await token('two') })
    await log.query(`insert into notes values (100, 'ann')`)
    expect(idOf(await again.results.next())).toBe(100)
    await log.query('drop policy listed on notes')
    await log.query(`insert into notes values (101, 'ann')`)
    expect(idOf(await other.results.next())).toBe(101)
    await Promise.all([again.close(), other.close()])
  })
})
