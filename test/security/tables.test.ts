import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, type Subscribe } from '../support/clients.js'
import { resultOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
let roles: TestRoles
let server: ListenqlServer

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table notes (id int primary key, owner text not null, body text, salary int);
    create table secrets (id int primary key);
    create table plain (id int primary key, a text, b text);
    grant select on notes to ${roles.user};
    grant select (id, a) on plain to ${roles.user};
    alter table notes enable row level security;
    create policy mine on notes to ${roles.user} using (owner = current_setting('request.jwt.claims')::json ->> 'sub');
    create policy weird on notes as restrictive using (coalesce((current_setting('request.jwt.claims')::json ->> 'n')::int, 0) = 0)`)
  await log.watch('notes', 'secrets', 'plain')
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    catalogInterval: 50,
    policyTimeout: 5000,
  })
})
afterAll(async () => {
  await server?.close()
  await roles?.drop()
  await log?.close()
})

const token = (sub: string, claims = {}) => sign({ role: roles.user, sub, exp: inSeconds(600), ...claims })

const ask = (query: string, token: string) => resultOf(server.url, query, { token })

const refusal = (result: unknown) => {
  const [error] = (result as { errors?: { message: string; extensions: { code: string } }[] }).errors ?? []
  return error && `${error.extensions.code}: ${error.message}`
}

interface Note {
  readonly id: number
  readonly body: string | null
}
const change = (result: Record<string, unknown>) => {
  const { data } = result as {
    data: { notesChanged: { operation: string; key: Note | null; row: Note | null; old: Note | null } } | null
  }
  if (!data) return refusal(result)
  const { operation, key, row, old } = data.notesChanged
  return [operation, key?.id ?? null, row?.body ?? null, old?.body ?? null]
}

const NOTES =
  'subscription ($after: String) { notesChanged(after: $after) { operation cursor key { id } row { id body } old { id body } } }'

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('%s', (_name, subscribe: Subscribe) => {
  it('shows each viewer what it may see: rows that become visible, change and become invisible, live and replayed', async () => {
    const follow = async (sub: string) => subscribe(server.url, NOTES, {}, { token: await token(sub) })
    const cat = await follow('cat')
    await log.query('truncate notes')
    await cat.results.next() // the log has been delivered up to here
    const [ann, bob] = [await follow('ann'), await follow('bob')]
    const snapshot = await ask('{ notes { cursor rows { id } } }', await token('bob'))
    const { cursor } = (snapshot as { data: { notes: { cursor: string } } }).data.notes
    await log.query(`insert into notes values (1, 'ann', 'a'), (2, 'bob', 'b')`)
    await log.query(`update notes set body = 'a2' where id = 1`)
    await log.query(`update notes set owner = 'bob', body = 'b2' where id = 1`)
    await log.query('delete from notes where id = 1')
    await log.query('delete from notes')
    await log.query('truncate notes')
    const toBob = [
      ['INSERT', 2, 'b', null],
      ['UPDATE', 1, 'b2', null],
      ['DELETE', 1, null, 'b2'],
      ['DELETE', 2, null, 'b'],
      ['TRUNCATE', null, null, null],
    ]
    expect((await ann.results.take(4)).map(change)).toEqual([
      ['INSERT', 1, 'a', null],
      ['UPDATE', 1, 'a2', 'a'],
      ['UPDATE', 1, null, 'a2'],
      ['TRUNCATE', null, null, null],
    ])
    const live = await bob.results.take(5)
    expect(live.map(change)).toEqual(toBob)
    expect((await cat.results.take(1)).map(change)).toEqual([['TRUNCATE', null, null, null]])
    // Another token of the same user, another user with the same cursor, and a subscriber that starts in the middle.
    const second = (live[1] as { extensions: { cursor: string } }).extensions.cursor
    const again = async (sub: string, after: string, count: number) => {
      const resumed = await subscribe(
        server.url,
        NOTES,
        {},
        { token: await token(sub, { jti: 'another' }), after },
      )
      const results = (await resumed.results.take(count)).map(change)
      await resumed.close()
      return results
    }
    expect(await again('bob', cursor, 5)).toEqual(toBob)
    expect(await again('bob', second, 3)).toEqual(toBob.slice(2))
    expect((await again('ann', cursor, 4)).at(2)).toEqual(['UPDATE', 1, null, 'a2'])
    expect(await again('cat', cursor, 1)).toEqual([['TRUNCATE', null, null, null]])
    for (const each of [ann, bob, cat]) await each.close()
  })

  it('ends the stream of a viewer for whom the policies fail, and no other', async () => {
    const ann = await subscribe(server.url, NOTES, {}, { token: await token('ann') })
    const broken = await subscribe(server.url, NOTES, {}, { token: await token('ann', { n: 'x' }) })
    await log.query(`insert into notes values (1, 'ann', 'a')`)
    expect(refusal(await broken.results.next())).toBe(
      'FORBIDDEN: the row-level security of table notes failed for this viewer',
    )
    expect(change(await ann.results.next())).toEqual(['INSERT', 1, 'a', null])
    await log.query('delete from notes')
    expect(change(await ann.results.next())).toEqual(['DELETE', 1, null, 'a'])
    await Promise.all([ann.close(), broken.close()])
  })

  it.each([
    ['secretsChanged { key { id } }', 'role ROLE may not read table secrets'],
    ['plainChanged { row { a b } }', 'role ROLE may not read column b of table plain'],
    ['plainChanged { ...on PlainChange { old { ...P } } }', 'role ROLE may not read column b of table plain'],
    [
      'plainChanged(where: {or: [{a: {eq: "x"}}, {not: {b: {isNull: true}}}]}) { cursor }',
      'role ROLE may not read column b of table plain',
    ],
  ])('refuses %s', async (field, message) => {
    const fragment = field.includes('...P') ? ' fragment P on Plain { c: b }' : ''
    const attempt = await subscribe(
      server.url,
      `subscription { ${field} }${fragment}`,
      {},
      { token: await token('ann') },
    ).then(
      ({ results }) => results.next(),
      (error: Error) => JSON.parse(error.message.slice(4)) as Record<string, unknown>,
    )
    expect(refusal(attempt)).toBe(`FORBIDDEN: ${message.replace('ROLE', roles.user)}`)
  })

  it('ends the stream of a viewer that loses the grant', async () => {
    await log.query(`grant select (b) on plain to ${roles.user}`)
    const document = 'subscription { plainChanged { row { id b } } }'
    const bearer = await token('ann')
    const stream = await waitUntil(async () => {
      const one = await subscribe(server.url, document, {}, { token: bearer }).catch(() => undefined)
      if (!one) return undefined
      await log.query(`insert into plain values (1, 'x', 'y') on conflict (id) do update set b = 'z'`)
      return refusal(await one.results.next()) === undefined ? one : undefined
    }, 'the grant to be noticed')
    await log.query(`revoke select (b) on plain from ${roles.user}`)
    const end = await waitUntil(async () => refusal(await stream.results.next()), 'the end')
    expect(end).toBe(`FORBIDDEN: role ${roles.user} may not read column b of table plain`)
  })
})

describe('queries', () => {
  it('read under the role and claims of the viewer', async () => {
    await log.query(
      `truncate notes; insert into notes values (1, 'ann', 'a'), (2, 'bob', 'b'), (3, 'ann', 'c')`,
    )
    const rows = async (sub: string) =>
      (await ask('{ notes(orderBy: [{body: DESC}]) { rows { id body } } }', await token(sub))).data
    expect(await rows('ann')).toEqual({
      notes: {
        rows: [
          { id: 3, body: 'c' },
          { id: 1, body: 'a' },
        ],
      },
    })
    expect(await rows('cat')).toEqual({ notes: { rows: [] } })
  })

  it.each([
    ['{ secrets { rows { id } } }', 'role ROLE may not read table secrets'],
    ['{ plain { rows { b } } }', 'role ROLE may not read column b of table plain'],
    ['{ plain(orderBy: [{b: ASC}]) { rows { a } } }', 'role ROLE may not read column b of table plain'],
    ['{ plain(where: {b: {in: ["x"]}}) { rows { a } } }', 'role ROLE may not read column b of table plain'],
  ])('refuse %s', async (query, message) => {
    expect(refusal(await ask(query, await token('ann')))).toBe(
      `FORBIDDEN: ${message.replace('ROLE', roles.user)}`,
    )
  })

  it('list the tables and columns that the viewer may read', async () => {
    const { data } = await ask('{ watchedTables { name columns { name } } }', await token('ann'))
    expect(data).toEqual({
      watchedTables: [
        { name: 'notes', columns: ['id', 'owner', 'body', 'salary'].map(name => ({ name })) },
        { name: 'plain', columns: ['id', 'a'].map(name => ({ name })) },
      ],
    })
  })
})
