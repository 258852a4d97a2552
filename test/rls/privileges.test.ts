import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createPrepared } from '../../src/postgres/statements/prepared.js'
import { type RowRights, readAccess, readDigests, type TableRights } from '../../src/rls/privileges.js'
import { readRights } from '../../src/rls/role-rights.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
})
afterAll(async () => {
  await roles.close()
  await watched.close()
})

const admin = (sql: string) => watched.log.database.query(sql)

async function rightsOf(relid: string, role: string): Promise<TableRights> {
  const { rights } = await readAccess(watched.client, [relid], [role])
  return rights[0] as TableRights
}

async function allRightsOf(table: WatchedTable, role: string): Promise<RowRights> {
  const client = watched.client as pg.PoolClient
  await client.query('begin; savepoint listenql')
  const found = await readRights(client, table, [role], new Map(), createPrepared(false))
  await client.query('rollback; deallocate all')
  const one = found.get(role)
  if (!one || 'error' in one) throw one?.error ?? new Error(role)
  return JSON.parse(one.text as string) as RowRights
}

const policiesOf = async (table: WatchedTable, role: string) => (await allRightsOf(table, role)).policies

async function digest(relid: string, role: string): Promise<string> {
  return (await readDigests(watched.client, [relid], [role])).of(relid, role)
}

describe('the check whether policies apply', () => {
  it('agrees with Postgres for owners, members, superusers and BYPASSRLS, forced or not', async () => {
    const { relid } = await watched.table('id int primary key', 'decide')
    const owner = await roles.add('owner')
    const everybody = [
      owner,
      await roles.add('member'),
      await roles.add('uninherited', 'noinherit'),
      await roles.add('stranger'),
      await roles.add('bypass', 'bypassrls'),
      await roles.add('overbypass'),
      await roles.add('super', 'superuser'),
    ]
    const [, member, uninherited, , bypass, overbypass] = everybody
    await admin(`grant ${owner} to ${member}, ${uninherited}; grant ${bypass} to ${overbypass}`)
    await admin(`alter table decide owner to ${owner}; grant select on decide to public`)
    for (const enable of ['enable', 'disable']) {
      for (const force of ['force', 'no force']) {
        await admin(`alter table decide ${enable} row level security, ${force} row level security`)
        for (const role of everybody) {
          const [row] = await roles.asViewer(
            viewerOf(role),
            `select row_security_active('public.decide') as active`,
          )
          expect([enable, force, role, (await rightsOf(relid, role)).hasRowSecurity]).toEqual([
            enable,
            force,
            role,
            row?.active,
          ])
        }
      }
    }
  })

  it('considers the policies for SELECT that apply to the role, also by inherited membership', async () => {
    const table = await watched.table('id int primary key, v text collate "C"', 'chosen')
    const [group, member, uninherited] = [
      await roles.add('group'),
      await roles.add('of_group'),
      await roles.add('of_group_uninherited', 'noinherit'),
    ]
    await admin(`grant ${group} to ${member}, ${uninherited}; alter table chosen enable row level security;
      create policy a_all on chosen using (id > 1);
      create policy b_group on chosen for select to ${group} using (v = 'x');
      create policy c_restrictive on chosen as restrictive for select using (v <> 'y');
      create policy d_insert on chosen for insert with check (true);
      create policy e_update on chosen for update using (true);
      create policy f_nothing on chosen for all with check (true)`)
    const names = async (role: string) => (await policiesOf(table, role)).map(({ name }) => name)
    expect(await names(member)).toEqual(['a_all', 'b_group', 'c_restrictive'])
    expect(await names(uninherited)).toEqual(['a_all', 'c_restrictive'])
    const [a, b] = await policiesOf(table, member)
    expect(a).toEqual({
      name: 'a_all',
      isPermissive: true,
      using: '(id > 1)',
      columns: [{ name: 'id', isSystem: false, number: 1, typeOid: 23, collation: null }],
      isTransparent: true,
      isBuiltIn: true,
      readsTables: false,
    })
    expect(b?.columns).toMatchObject([{ name: 'v', isSystem: false, collation: 'pg_catalog."C"' }])
  })
})

describe('the server may evaluate policies itself', () => {
  it('if they use nothing of users, whatever its name, except for columns of their own table', async () => {
    const role = await roles.add('evaluated')
    await admin(`create schema app; grant usage on schema app to public; create type app.uuid as enum ('a'); create table app.other (owner text);
      create domain app.text as text; create function app.texteq(text, text) returns bool language sql as 'select true';
      create operator app.= (leftarg = text, rightarg = text, procedure = app.texteq)`)
    const table = await watched.table(
      'id int primary key, owner text, kind app.uuid, d app.text',
      'evaluated',
    )
    await admin(`grant select on evaluated to ${role}; alter table evaluated enable row level security;
      create policy a on evaluated using (owner = (select current_setting('request.jwt.claims')::json ->> 'sub'));
      create policy b on evaluated using (app.texteq(owner, 'x'));
      create policy c on evaluated using (owner operator(app.=) 'x');
      create policy d on evaluated using (kind = 'a'::app.uuid);
      create policy e on evaluated using (owner = 'x'::app.text);
      create policy f on evaluated using (exists (select from app.other));
      create policy g on evaluated using (evaluated.* is not null);
      create policy h on evaluated using (owner = 'x') with check (app.texteq(owner, 'x'))`)
    const found = (await policiesOf(table, role)).map(({ name, isBuiltIn }) => [name, isBuiltIn])
    expect(found.flatMap(([name, isBuiltIn]) => (isBuiltIn ? [name] : []))).toEqual(['a', 'g'])
    expect(found.length).toBe(8)
  })

  it('if the role may call the functions of Postgres that compare, in UTF-8', async () => {
    const role = await roles.add('comparing')
    const table = await watched.table('id int primary key', 'comparing')
    const alike = async () => (await allRightsOf(table, role)).comparesAlike
    expect(await alike()).toBe(true)
    for (const name of ['uuid_eq', 'int48eq', 'jsonb_object_field_text', 'current_setting(text, bool)']) {
      await admin(`revoke execute on function pg_catalog.${name} from public`)
      expect([name, await alike()]).toEqual([name, false])
      await admin(`grant execute on function pg_catalog.${name} to ${role}`)
      expect([name, await alike()]).toEqual([name, true])
      await admin(`grant execute on function pg_catalog.${name} to public`)
    }
  })
})

describe('the readable columns', () => {
  it('are the columns with SELECT on the table or on the column, if the role may use the schema', async () => {
    const { relid } = await watched.table('id int primary key, name text, salary int', 'columned')
    const role = await roles.add('reader')
    expect(await rightsOf(relid, role)).toMatchObject({ exists: true, mayRead: false, columns: [] })
    await admin(`grant select (name, id) on columned to ${role}`)
    expect(await rightsOf(relid, role)).toMatchObject({ mayRead: true, columns: ['id', 'name'] })
    await admin(`grant select on columned to ${role}`)
    expect(await rightsOf(relid, role)).toMatchObject({ mayRead: true, columns: ['id', 'name', 'salary'] })
    await admin(`revoke usage on schema public from public`)
    expect(await rightsOf(relid, role)).toMatchObject({ mayRead: false })
    await admin(`grant usage on schema public to public`)
    expect(await rightsOf(relid, 'nobody of that name')).toMatchObject({
      exists: false,
      mayRead: false,
      columns: [],
    })
    expect((await readAccess(watched.client, ['4294967295'], [role])).rights).toEqual([])
  })

  it('have a digest that changes with everything the columns depend on, and with nothing else', async () => {
    const { relid } = await watched.table('id int primary key, name text', 'digested')
    const [role, group] = [await roles.add('some'), await roles.add('somegroup')]
    await watched.table('id int primary key', 'other')
    let before = await digest(relid, role)
    for (const sql of [
      `grant select on digested to ${group}`,
      `grant ${group} to ${role}`,
      `grant select (name) on digested to ${role}`,
      `revoke select (name) on digested from ${role}; grant select (name) on digested to ${role}`,
      'alter table digested enable row level security',
      'create policy p on digested using (id > 0)',
      'alter policy p on digested using (id > 1)',
      'alter table digested force row level security',
      `alter policy p on digested to ${role}`,
      `alter role ${role} noinherit`,
      `alter role ${role} bypassrls`,
      `alter table digested owner to ${role}`,
      `revoke ${group} from ${role}`,
      `revoke usage on schema public from public`,
      `grant usage on schema public to public`,
      'drop policy p on digested',
    ]) {
      await admin(sql)
      const now = await digest(relid, role)
      expect([sql, now === before]).toEqual([sql, false])
      before = now
    }
    await admin('insert into digested values (1)')
    await admin('vacuum analyze digested')
    await admin(`grant select on other to ${role}`)
    expect(await digest(relid, role)).toBe(before)
  })
})
