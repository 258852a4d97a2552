import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { EVERYTHING, type RowImage } from '../../src/filters/index.js'
import type { RowAccess } from '../../src/rls/row-access.js'
import { createSnapshots, type Snapshots } from '../../src/snapshots/snapshots.js'
import { PLAIN } from '../support/cursors.js'
import { createSecured, type Secured, seenBy } from '../support/secured.js'
import { viewerOf } from '../support/viewers.js'

let secured: Secured
let role: string
let table: WatchedTable
let images: RowImage[]
let access: RowAccess
let snapshots: Snapshots
let viewers: Viewer[]

const admin = (sql: string) => secured.admin(sql)
const CLAIM = `current_setting('request.jwt.claims', true)::json ->> 'sub'`

beforeAll(async () => {
  secured = await createSecured()
  role = await secured.roles.add('viewer')
  table = await secured.table('notes', 'id int primary key, owner text, v int', [role])
  viewers = ['a', 'b', 'c', 'b', 'd'].map((sub, i) => viewerOf(role, { sub, i }))
  await admin(
    `create schema app; grant usage on schema app to ${role}, ${secured.watched.server.name};
    create function app.uid() returns text language sql immutable as $$ select ${CLAIM} $$;
    create function app.puid() returns text language plpgsql immutable as $$ begin return ${CLAIM}; end $$;
    create function app.is_me(owner text) returns boolean language plpgsql immutable as $$ begin return owner = ${CLAIM}; end $$;
    create table app.teams (team int, member text); insert into app.teams values (1, 'a'), (2, 'b'), (3, 'c');
    grant select on app.teams to ${role};
    create function app.inner_sql(owner text) returns boolean language sql stable as $$ select owner = app.uid() $$;
    create function app.inner_table(owner text) returns boolean language sql stable as $$ select exists (select from app.teams t where t.member = app.uid() and t.member = owner) $$;
    create function app.inner_plpgsql(owner text) returns boolean language plpgsql stable as $$ begin return owner = app.uid(); end $$;
    create function app.inner_query() returns text language plpgsql stable as $$ declare found text; begin select t.member into found from app.teams t where t.member = app.puid(); return found; end $$;
    create function app.definer() returns text language plpgsql stable security definer as $$ begin return (select app.puid()); end $$;
    create function app.op(owner text, x int) returns boolean language plpgsql immutable as $$ begin return owner = ${CLAIM}; end $$;
    create operator app.=== (leftarg = text, rightarg = int, function = app.op);
    create view app.mine as select app.uid() as me; grant select on app.mine to ${role};
    create table app.secured (member text); insert into app.secured values ('a'), ('b'), ('c'); grant select on app.secured to ${role};
    alter table app.secured enable row level security; create policy p on app.secured using (member = app.puid())`,
  )
  images = await secured.written(
    table,
    `insert into notes values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'a', 4), (5, null, 5)`,
  )
  access = secured.start({ connections: 1 })
  snapshots = createSnapshots({
    config: secured.watched.server.config,
    cursors: PLAIN,
    connectTimeout: 5000,
    queryTimeout: 5000,
    readers: 1,
  })
})
afterAll(async () => {
  await snapshots?.close()
  await secured?.close()
})

async function shown(viewer: Viewer): Promise<unknown[]> {
  const rows = await secured.roles.asViewer(viewer, 'select id from public.notes order by id')
  return rows.map(({ id }) => id)
}

async function read(viewer: Viewer): Promise<unknown[]> {
  const { rows } = await snapshots.snapshot(table, {
    filter: EVERYTHING,
    orderBy: [],
    limit: 100,
    offset: 0,
    viewer,
  })
  return rows.map(row => row.get('id'))
}

async function setPolicy(using: string): Promise<void> {
  await admin(`drop policy if exists p on notes; create policy p on notes using (${using})`)
}

const MINE = [[1, 4], [2], [3], [2], []]

describe('a function that is declared IMMUTABLE and reads the claims', () => {
  it.each([
    'owner = app.uid()',
    'owner = (select app.uid())',
    'owner = app.puid()',
    'owner = (select app.puid())',
    'app.is_me(owner)',
    `owner = 'a' and app.is_me('a') or owner = 'b' and app.is_me('b') or owner = 'c' and app.is_me('c')`,
    'app.inner_sql(owner)',
    'app.inner_table(owner)',
    'app.inner_plpgsql(owner)',
    'owner = app.inner_query()',
    'owner = (select app.inner_query())',
    'owner = app.definer()',
    'exists (select from app.teams t where t.member = app.uid() and t.member = owner)',
    'owner in (select member from app.teams where member = app.puid())',
    'owner OPERATOR(app.===) 1',
    'owner = (select me from app.mine)',
    'owner in (select member from app.secured)',
  ])('gives each viewer its own answer: %s', async using => {
    await setPolicy(using)
    const expected = []
    for (const viewer of viewers) expected.push(await shown(viewer))
    expect(expected).toEqual(MINE)
    for (const order of [viewers, viewers.toReversed()]) {
      const mine = order.map(viewer => MINE[viewers.indexOf(viewer)])
      expect(await seenBy(access, table, order, images)).toEqual(mine)
      for (const [i, viewer] of order.entries()) expect(await read(viewer)).toEqual(mine[i])
    }
  })
})

describe('a function that a policy calls', () => {
  it.each([
    ['deallocate all'],
    ['discard plans'],
    ['set role none'],
    ['reset all'],
    ['reset role'],
    ['close all'],
    ['unlisten *'],
    ['discard sequences'],
    [`select set_config('request.jwt.claims', '{"sub": "a"}', false)`],
    [`select set_config('search_path', 'nowhere', false), set_config('row_security', 'off', false)`],
    ['select pg_advisory_lock(42)'],
  ])('may change anything in the session without stopping delivery: %s', async sql => {
    await admin(`create or replace function app.touch() returns text language plpgsql volatile as $$
      declare me text := ${CLAIM}; begin execute '${sql.replaceAll("'", "''")}'; return me; end $$`)
    await setPolicy('owner = (select app.touch())')
    const other = await secured.table('others', 'id int primary key, owner text', [role])
    await admin(`create policy p on others using (owner = ${CLAIM})`)
    const theirs = await secured.written(other, `insert into others values (1, 'a'), (2, 'b')`)
    const more = secured.start()
    for (let round = 0; round < 3; round++) {
      expect(await seenBy(access, table, viewers, images)).toEqual(MINE)
      expect(await seenBy(access, other, viewers, theirs)).toEqual([[1], [2], [], [2], []])
      expect(await seenBy(more, table, viewers, images)).toEqual(MINE)
    }
  })
})
