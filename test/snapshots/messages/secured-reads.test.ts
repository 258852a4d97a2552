import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../../src/filters/index.js'
import { planOf, type Snapshot } from '../../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../../src/snapshots/snapshots.js'
import { PLAIN } from '../../support/cursors.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'

/* Reads under row-level security that are known to be quick share a message. */

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let other: string
let notes: WatchedTable
let snapshots: Snapshots

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('one')
  other = await roles.add('two')
  notes = await watched.table('id int primary key, owner text not null, body text', 'notes')
  await watched.log.database.query(`grant select on notes to ${role}, ${other}; alter table notes enable row level security;
    alter role ${other} set myapp.team = 'second';
    create function claim(name text) returns text language sql stable as $$ select current_setting('request.jwt.claims')::json ->> name $$`)
})
afterAll(async () => {
  await roles?.close()
  await watched?.close()
})
beforeEach(async () => {
  await watched.log.query(
    `truncate notes; insert into notes select i, 'viewer ' || i % 10, 'x' from generate_series(0, 19) i`,
  )
  await setPolicy(`owner = claim('sub')`)
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    maxBytes: () => 100_000,
    keepsPrepared: true,
    cursors: PLAIN,
  })
  return () => snapshots.close()
})

const setPolicy = (using: string) =>
  watched.log.database.query(
    `drop policy if exists p on notes; create policy p on notes to ${role}, ${other} using (${using})`,
  )

/** @param expected how long it will take, in ms. Undefined: it is read by itself */
function read(sub: string, as = role, expected: number | undefined = 1): Promise<Snapshot> {
  const plan = planOf(notes, { filter: EVERYTHING, orderBy: [], limit: 100, offset: 0 })
  return snapshots.read(plan, { viewer: viewerOf(as, { sub }) }, undefined, expected)
}

const untilBlocked = () =>
  waitUntil(
    async () =>
      (
        await watched.log.database.query(`select from pg_stat_activity where datname = current_database()
          and application_name = 'listenql snapshot' and wait_event_type = 'Lock'`)
      ).length > 0,
    'a read to wait for a lock',
  )

const VIEWERS = Array.from({ length: 30 }, (_, i) => `viewer ${i}`)
const readAll = () => Promise.all(VIEWERS.map(sub => read(sub)))
const ids = ({ rows }: Snapshot) => rows.map(row => row.get('id'))
const OWN = VIEWERS.map((_, i) => (i < 10 ? [i, i + 10] : []))

it('each viewer gets its own rows, at one position', async () => {
  const query = vi.spyOn(pg.Client.prototype, 'query')
  const all = await readAll()
  expect(all.map(ids)).toEqual(OWN)
  // A query and a check of the tables for each viewer.
  const executed = query.mock.calls.map(
    ([given]) => (given as { text?: string }).text?.split('; execute ').length ?? 1,
  )
  expect(Math.max(...executed)).toBeGreaterThan(5)
  query.mockRestore()
  expect(new Set(all.map(({ cursor }) => cursor)).size).toBe(1)
})

it('viewers with other roles have their own settings', async () => {
  await setPolicy(`coalesce(current_setting('myapp.team', true), '') = claim('team') or id = 0`)
  const seen = await Promise.all([read('a'), read('b', other), read('c')])
  expect(seen.map(ids)).toEqual([[0], [0], [0]])
  await setPolicy(`coalesce(current_setting('myapp.team', true), '') = 'second'`)
  const all = await Promise.all([read('a'), read('b', other), read('c')])
  expect(all.map(({ rows }) => rows.length)).toEqual([0, 20, 0])
})

it('what a policy does for one viewer does not reach the next', async () => {
  await watched.log.database.query(`create or replace function remember() returns text language plpgsql as $$
    declare before text := current_setting('myapp.seen', true);
    begin perform set_config('myapp.seen', claim('sub'), false); return coalesce(nullif(before, ''), claim('sub')); end $$`)
  await setPolicy('owner = remember()')
  expect((await readAll()).map(ids)).toEqual(OWN)
})

it('functions of policies run only with the claims of a viewer', async () => {
  await watched.log.database.query(`create or replace function first_seen() returns text language plpgsql stable as $$
    declare seen text := current_setting('myapp.first', true);
    begin
      if coalesce(seen, '') = '' then
        seen := coalesce(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub', 'viewer 0');
        perform set_config('myapp.first', seen, true);
      end if;
      return seen;
    end $$`)
  await setPolicy('owner = first_seen()')
  expect((await readAll()).map(ids)).toEqual(OWN)
})

it('viewers share a message where functions of policies fail without claims', async () => {
  await watched.log.database.query(`create or replace function own() returns text language plpgsql immutable as $$
    begin return current_setting('request.jwt.claims')::json ->> 'sub'; end $$`)
  await setPolicy('owner = own()')
  const query = vi.spyOn(pg.Client.prototype, 'query')
  expect((await readAll()).map(ids)).toEqual(OWN)
  const texts = query.mock.calls.map(([given]) => (given as { text?: string }).text ?? given)
  expect(texts).not.toContainEqual(expect.stringContaining('deallocate all'))
  query.mockRestore()
})

it('a viewer whose policy fails fails alone', async () => {
  await setPolicy(`owner = claim('sub') and (claim('sub') <> 'viewer 7' or 1 / (id - id) = 1)`)
  const all = await Promise.allSettled(VIEWERS.map(sub => read(sub)))
  for (const [i, one] of all.entries()) {
    if (i === 7) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'FORBIDDEN' } })
    else expect(one.status === 'fulfilled' && ids(one.value)).toEqual(OWN[i])
  }
  expect(await readAll().catch(({ code }) => code)).toBe('FORBIDDEN')
  await setPolicy(`owner = claim('sub')`)
  expect((await readAll()).map(ids)).toEqual(OWN)
})

it('a policy that drops statements costs nothing but time', async () => {
  await watched.log.database.query(`create or replace function careless() returns boolean language plpgsql as
    $$ begin deallocate all; return true; end $$`)
  await setPolicy(`owner = claim('sub') and careless()`)
  expect((await readAll()).map(ids)).toEqual(OWN)
  await setPolicy(`owner = claim('sub')`)
  expect((await readAll()).map(ids)).toEqual(OWN)
})

it('a viewer whose result has become too large is refused alone', async () => {
  await watched.log.query(`update notes set body = repeat('x', 200000) where owner = 'viewer 3'`)
  const all = await Promise.allSettled(VIEWERS.map(sub => read(sub)))
  expect(all.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  expect(all[3]).toMatchObject({ reason: { code: 'RESULT_TOO_LARGE' } })
})

it('a table that is truncated or altered meanwhile is noticed', async () => {
  const session = await watched.log.connect()
  await session.query(`begin; truncate notes; insert into notes values (100, 'viewer 1', 'y')`)
  const pending = readAll()
  await untilBlocked()
  await session.query('commit')
  expect((await pending).map(ids)).toEqual(VIEWERS.map((_, i) => (i === 1 ? [100] : [])))
  await watched.log.query('alter table notes rename to jottings')
  const codes = await Promise.all(VIEWERS.slice(0, 3).map(sub => read(sub).catch(({ code }) => code)))
  expect(codes).toEqual(['SCHEMA_CHANGED', 'SCHEMA_CHANGED', 'SCHEMA_CHANGED'])
  await watched.log.query('alter table jottings rename to notes')
  expect((await readAll()).map(ids)).toEqual(VIEWERS.map((_, i) => (i === 1 ? [100] : [])))
})

describe('a table that policies read, which is truncated or rewritten meanwhile', () => {
  /** To an older snapshot the table is empty: https://www.postgresql.org/docs/current/mvcc-caveats.html */
  const REWRITES = [
    `truncate banned; insert into banned values ('viewer 0')`,
    'alter table banned alter since type bigint',
  ]
  const POLICIES = {
    'by its name, without a function': `not exists (select from banned where name = current_setting('request.jwt.claims')::json ->> 'sub')`,
    'by its name': `not exists (select from banned where name = claim('sub'))`,
    'in a function': `not is_banned(claim('sub'))`,
    'by a view': `not exists (select from banned_names where name = claim('sub'))`,
    'by the policies of another table': `exists (select from allowed where allowed.name = claim('sub'))`,
  }

  beforeAll(() =>
    watched.log.database.query(`
      create table banned (name text, since int default 0);
      create table allowed (name text); insert into allowed values ('viewer 0'), ('viewer 1');
      create view banned_names as select name from banned;
      create function is_banned(member text) returns boolean language sql stable security definer as
        $$ select exists (select from banned where name = member) $$;
      grant select on banned, banned_names, allowed to ${role};
      alter table allowed enable row level security;
      create policy p on allowed using (not exists (select from banned where banned.name = allowed.name))`),
  )

  for (const [how, using] of Object.entries(POLICIES))
    for (const expected of [1, undefined])
      it(`shows no hidden row: ${how}, read ${expected ? 'with others' : 'by itself'}`, async () => {
        for (const rewrite of REWRITES) {
          await watched.log.database.query(`truncate banned; alter table banned alter since type int;
            insert into banned values ('viewer 0')`)
          await setPolicy(using)
          expect(ids(await read('viewer 0', role, expected))).toEqual([])
          const session = await watched.log.connect({ connectionString: watched.log.database.adminUrl })
          await session.query(`begin; ${rewrite}`)
          const pending = Promise.all(['viewer 0', 'viewer 1'].map(sub => read(sub, role, expected)))
          await untilBlocked()
          await session.query('commit')
          expect((await pending).map(({ rows }) => rows.length)).toEqual([0, 20])
        }
      })

  describe('a partition or child of it, which is detached meanwhile, after which its rows are inserted again', () => {
    const MOVES = {
      listed: 'alter table listed detach partition listed_1; insert into listed select * from listed_1',
      inherited: 'alter table child no inherit inherited; insert into inherited select * from child',
    }
    const ways = (table: string) => ({
      'by its name': `not exists (select from ${table} where name = current_setting('request.jwt.claims')::json ->> 'sub')`,
      'in a function': `not is_in_${table}(claim('sub'))`,
    })

    beforeEach(() =>
      watched.log.database.query(`
        create table listed (name text, part int default 1) partition by list (part);
        create table listed_1 partition of listed for values in (1); create table listed_0 partition of listed default;
        create table inherited (name text); create table child () inherits (inherited);
        insert into listed values ('viewer 0'); insert into child values ('viewer 0');
        create function is_in_listed(member text) returns boolean language sql stable as $$ select exists (select from listed where name = member) $$;
        create function is_in_inherited(member text) returns boolean language sql stable as $$ select exists (select from inherited where name = member) $$;
        grant select on listed, inherited to ${role}`),
    )
    afterEach(() =>
      watched.log.database.query(`drop policy p on notes; drop function is_in_listed, is_in_inherited;
        drop table listed, inherited cascade; drop table if exists listed_1, child`),
    )

    for (const [table, move] of Object.entries(MOVES))
      for (const [how, using] of Object.entries(ways(table)))
        it(`shows no hidden row: ${table}, ${how}`, async () => {
          await setPolicy(using)
          expect(ids(await read('viewer 0'))).toEqual([])
          const session = await watched.log.connect({ connectionString: watched.log.database.adminUrl })
          // A detachment that is undone leaves its mark in the catalogue.
          await session.query(`begin; ${move}; rollback`)
          expect((await read('viewer 1')).rows).toHaveLength(20)
          await session.query(`begin; lock ${table}; ${move}`)
          const pending = Promise.all(['viewer 0', 'viewer 1'].map(sub => read(sub)))
          await untilBlocked()
          await session.query('commit')
          expect((await pending).map(({ rows }) => rows.length)).toEqual([0, 20])
          expect((await read('viewer 1')).rows).toHaveLength(20)
        })
  })

  it('is another one than those that policies name: the read is not repeated', async () => {
    await watched.log.database.query(`truncate banned; create table if not exists unrelated (id int)`)
    await setPolicy(
      `not exists (select from banned where name = current_setting('request.jwt.claims')::json ->> 'sub')`,
    )
    const session = await watched.log.connect({ connectionString: watched.log.database.adminUrl })
    await session.query('begin; lock banned')
    const pending = read('viewer 1', role, undefined)
    await untilBlocked()
    const query = vi.spyOn(pg.Client.prototype, 'query')
    await watched.log.database.query('truncate unrelated')
    await session.query('commit')
    expect((await pending).rows).toHaveLength(20)
    const texts = query.mock.calls.map(([given]) => (given as { text?: string }).text ?? String(given))
    expect(texts.filter(text => text.includes('listenql.cut'))).toEqual([])
    query.mockRestore()
  })

  for (const expected of [1, undefined])
    it(`shows no row that is hidden from the server's own login, read ${expected ? 'with others' : 'by itself'}`, async () => {
      const login = watched.server.name
      await setPolicy('false') // the login is a member of the roles
      await watched.log.database.query(`grant select on banned to ${login};
        create policy own on notes to ${login} using (not exists (select from banned))`)
      const plan = planOf(notes, { filter: EVERYTHING, orderBy: [], limit: 100, offset: 0 })
      const own = () => snapshots.read(plan, {}, undefined, expected)
      await watched.log.database.query(`truncate banned; insert into banned values ('viewer 0')`)
      expect(ids(await own())).toEqual([])
      const session = await watched.log.connect({ connectionString: watched.log.database.adminUrl })
      await session.query(`begin; truncate banned; insert into banned values ('viewer 0')`)
      const pending = own()
      await untilBlocked()
      await session.query('commit')
      expect(ids(await pending)).toEqual([])
      await watched.log.database.query('drop policy own on notes')
    })
})
