import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, type Subscribe, type TestSubscription } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'

const subscribe = GRAPHQL_TRANSPORTS['graphql-ws'] as Subscribe
const CLAIM = `current_setting('request.jwt.claims', true)::json ->> 'sub'`

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
let token: string
let streams: TestSubscription[] = []

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  token = await sign({ role: roles.user, sub: 'ann', exp: inSeconds(600) })
})
afterAll(async () => {
  await roles?.drop()
  await log?.close()
})
beforeEach(async () => {
  await log.query(`create table notes (id int primary key, body text, is_public boolean not null);
    create table keyless (is_public boolean);
    create function sees_keyless() returns boolean language sql stable security definer as $$ select exists (select from public.keyless) $$;
    create table members (team int, name text, primary key (team, name));
    create function sees_note(int) returns boolean language sql stable security definer as $$ select n.is_public from public.notes n where n.id = $1 $$;
    create function teams() returns setof int language plpgsql stable security definer as $$ begin return query select m.team from public.members m where m.name = ${CLAIM}; end $$;
    alter table notes enable row level security; create policy p on notes using (sees_note(id));
    alter table members enable row level security; create policy p on members using (team in (select teams()));
    alter table keyless enable row level security; create policy p on keyless using (sees_keyless());
    grant select on notes, members, keyless to ${roles.user}`)
  await log.watch('notes')
  await log.watch('members')
  await log.watch('keyless')
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    catalogInterval: 200,
    policyTimeout: 5000,
  })
})
afterEach(async () => {
  for (const stream of streams) await stream.close()
  streams = []
  await server.close()
  await log.query(`select listenql.unwatch('notes'), listenql.unwatch('members'), listenql.unwatch('keyless');
    drop table notes, members, keyless cascade; drop function sees_note, teams, sees_keyless`)
})

interface Change {
  readonly operation: string
  readonly key: unknown
  readonly row: unknown
  readonly old: unknown
}
interface Result {
  readonly data?: Record<string, Change> | null
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[]
  readonly extensions?: { readonly cursor: string }
}

const NOTES = `subscription($where: NotesFilter) { notesChanged(where: $where) { operation key { id } row { id body } old { id body } } }`
const MEMBERS = `subscription { membersChanged { operation key { team name } row { team name } old { team name } } }`

async function follow(
  query: string,
  more: { after?: string; where?: unknown } = {},
): Promise<TestSubscription> {
  const { where, ...start } = more
  const stream = await subscribe(server.url, query, where ? { where } : {}, { token, ...start })
  streams.push(stream)
  return stream
}

/** `UPDATE 1: old -> row`, or an error's code. */
async function next({ results }: TestSubscription): Promise<string> {
  const { data, errors } = (await results.next()) as Result
  if (errors) return errors[0]?.extensions.code ?? ''
  const { operation, key, old, row } = Object.values(data ?? {})[0] as Change
  const brief = (value: unknown) => (value ? Object.values(value).join(' ') : '-')
  return `${operation} ${brief(key)}: ${brief(old)} -> ${brief(row)}`
}

async function untilError(stream: TestSubscription): Promise<string> {
  for (;;) {
    const one = await next(stream)
    if (!one.includes(':')) return one
  }
}

async function several(stream: TestSubscription, count: number): Promise<string[]> {
  const found: string[] = []
  for (let i = 0; i < count; i++) found.push(await next(stream))
  return found
}

describe('a policy whose function reads the watched table itself', () => {
  it('shows no former version of a row that select did not show', async () => {
    const stream = await follow(NOTES)
    await log.query(`begin; insert into notes values (1, 'draft', false); update notes set body = 'secret draft' where id = 1;
      update notes set body = 'final', is_public = true where id = 1; commit`)
    await log.query(`update notes set body = 'final 2' where id = 1`)
    await log.query(`truncate notes`)
    const all: string[] = []
    do all.push(await next(stream))
    while (!all.at(-1)?.startsWith('TRUNCATE'))
    expect(all.join('\n')).not.toContain('draft')
  })

  it('sends each version that select shows, when no other change intervenes', async () => {
    const stream = await follow(NOTES)
    await log.query(`insert into notes values (1, 'secret', false)`)
    await log.query(`insert into notes values (2, 'first', true)`)
    expect(await next(stream)).toBe('INSERT 2: - -> 2 first')
    await log.query(`update notes set body = 'second' where id = 2`)
    expect(await next(stream)).toBe('UPDATE 2: 2 first -> 2 second')
    await log.query(`update notes set body = 'published', is_public = true where id = 1`)
    expect(await next(stream)).toBe('UPDATE 1: - -> 1 published')
    await log.query(`update notes set body = 'hidden', is_public = false where id = 2`)
    expect(await next(stream)).toBe('UPDATE 2: 2 second -> -')
    await log.query(`delete from notes where id = 2`)
    await log.query(`delete from notes where id = 1`)
    expect(await next(stream)).toBe('DELETE 1: 1 published -> -')
  })

  it('reports the removal of rows that were visible when the subscription began', async () => {
    await log.query(`insert into members values (1, 'ann'), (1, 'bob'), (2, 'bob'), (2, 'cat')`)
    const stream = await follow(MEMBERS)
    await log.query(`delete from members where (team, name) = (2, 'cat')`)
    await log.query(`delete from members where (team, name) = (1, 'bob')`)
    expect(await next(stream)).toBe('DELETE 1 bob: 1 bob -> -')
    await log.query(`delete from members where (team, name) = (1, 'ann')`)
    expect(await next(stream)).toBe('DELETE 1 ann: 1 ann -> -')
    await log.query(`insert into members values (2, 'ann')`)
    expect(await next(stream)).toBe('INSERT 2 ann: - -> 2 ann')
    await log.query(`delete from members where (team, name) = (2, 'ann')`)
    expect(await next(stream)).toBe('DELETE 2 ann: 2 ann -> -')
  })

  it('keeps a filtered list correct, whatever changes happen at once', async () => {
    await log.query(`insert into notes values (1, 'a', true), (2, 'a', true)`)
    const stream = await follow(NOTES, { where: { body: { eq: 'a' } } })
    await log.query(
      `begin; update notes set body = 'b' where id = 1; update notes set body = 'c' where id = 1; commit`,
    )
    await log.query(
      `begin; update notes set body = 'b' where id = 2; update notes set body = 'a' where id = 2; commit`,
    )
    const list = new Set(['1', '2'])
    await log.query(`insert into notes values (3, 'a', true)`)
    while (!list.has('3')) {
      const [, key = '', row] = /^\w+ (\d+): .* -> (.*)$/.exec(await next(stream)) ?? []
      if (row === '-') list.delete(key)
      else list.add(key)
    }
    expect([...list].sort()).toEqual(['2', '3'])
  })

  it('resumes if rows were only added, and requires a snapshot if one is gone', async () => {
    const first = await follow(NOTES)
    await log.query(`insert into notes values (1, 'one', true)`)
    const after = ((await first.results.next()) as Result).extensions?.cursor as string
    await first.close()
    await log.query(`insert into notes values (2, 'draft', false), (3, 'three', true)`)
    await log.query(`update notes set body = 'two', is_public = true where id = 2`)
    const resumed = await follow(NOTES, { after })
    expect((await several(resumed, 2)).sort()).toEqual(['INSERT 3: - -> 3 three', 'UPDATE 2: - -> 2 two'])
    await resumed.close()
    await log.query(`delete from notes where id = 1`)
    // Events from before the row was removed may arrive first.
    const lost = await follow(NOTES, { after }).then(untilError, String)
    expect(lost).toContain('CURSOR_EXPIRED')
  })

  it.each([
    [
      'in pieces',
      `begin return exists (select); end`,
      `declare found boolean; begin execute 'select n.is_public from public.no' || 'tes n where n.id = $1' into found using $1; return found; end`,
    ],
  ])(
    'is noticed when it begins to read the table, even if its SQL is generated %s',
    async (_how, before, after) => {
      await log.query(
        `create or replace function sees_note(int) returns boolean language plpgsql stable security definer as $$ ${before} $$`,
      )
      const stream = await follow(NOTES)
      await log.query(`insert into notes values (1, 'seen', false)`)
      expect(await next(stream)).toBe('INSERT 1: - -> 1 seen')
      await log.query(
        `create or replace function sees_note(int) returns boolean language plpgsql stable security definer as $$ ${after} $$`,
      )
      await log.query(`insert into notes values (2, 'secret', false)`)
      await log.query(`update notes set is_public = true where id = 2`)
      expect(await next(stream)).toBe('SCHEMA_CHANGED')
      const again = await follow(NOTES)
      await log.query(`insert into notes values (3, 'third', true)`)
      expect(await next(again)).toBe('INSERT 3: - -> 3 third')
    },
  )

  it('is refused if a row cannot be found by a key', async () => {
    const { results } = await follow(`subscription { keylessChanged { operation row { isPublic } } }`)
    expect(JSON.stringify(await results.next())).toMatch(
      /FORBIDDEN.*no primary key|no primary key.*FORBIDDEN/,
    )
  })
})
