import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PolicyReads, policyReadsOf } from '../../../src/rls/reads/policy-reads.js'
import { POLICY_READS } from '../../../src/rls/reads/policy-reads-sql.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'

let database: TestDatabase
let role: string
let owner: string
let hasParsedBodies: boolean

const SUB = `current_setting('request.jwt.claims', true)::json ->> 'sub'`

beforeAll(async () => {
  database = await createTestDatabase()
  role = `${database.name}_reader`
  owner = `${database.name}_owner`
  const [version] = await database.query(`select current_setting('server_version_num')::int as n`)
  hasParsedBodies = Number(version?.n) >= 140_000
  await database.query(`create role ${role}; create role ${owner};
    create schema app; create schema auth;
    create table app.orders (id int primary key, org int, owner text, total int, doc json);
    create table app.members (org int, person text, since date);
    create table app.orgs (id int, name text, parent int);
    create table app.logs (org int, at date) partition by range (at); create table app.logs_now partition of app.logs default;
    create table app.secrets (id int, org int); alter table app.secrets enable row level security;
    create policy s on app.secrets to ${role} using (exists (select from app.orgs o where o.id = secrets.org));
    create policy other on app.secrets to ${owner} using (exists (select from app.logs));
    alter table app.secrets owner to ${owner};
    create view app.owned as select org from app.secrets; alter view app.owned owner to ${owner};
    create materialized view app.kept as select * from app.orgs; create sequence app.numbers;
    alter table app.orders enable row level security;
    create function auth.uid() returns text language sql stable as $$
      -- As in Supabase.
      select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::text $$;
    create function auth.claim(name text) returns text language sql stable as $$ select current_setting('request.jwt.claims', true)::json ->> name $$;
    create function app.text_body() returns setof int language sql stable as $$ select org from app.members $$;
    create function app.code() returns boolean language plpgsql stable as $$ begin return exists (select from app.members); end $$;
    create function app.declared() returns boolean language plpgsql stable as $$ begin return exists (select from app.members); end $$;
    create function app.declared_nothing() returns boolean language plpgsql stable as $$ begin return true; end $$;
    create function app.declared_wrongly() returns boolean language plpgsql stable as $$ begin return true; end $$;
    create function app.same(a int, b int) returns boolean language plpgsql as $$ begin return exists (select from app.orgs); end $$;
    create operator app.=== (leftarg = int, rightarg = int, function = app.same);
    create function app.whole(o app.orders) returns boolean language sql immutable as $$ select true $$;
    comment on function app.declared() is E'Whether the viewer is a member.\\n@listenql reads app.members, app.secrets';
    comment on function app.declared_nothing() is '@listenql reads nothing';
    comment on function app.declared_wrongly() is '@listenql reads app.members, app.gone'`)
  if (hasParsedBodies)
    await database.query(`
      create function app.my_orgs() returns setof int language sql stable begin atomic select org from app.members where person = auth.uid(); end;
      create function app.all_secrets() returns setof int language sql stable security definer begin atomic select org from app.secrets; end;
      alter function app.all_secrets() owner to ${owner}; grant usage on schema app to ${owner}`)
})
afterAll(async () => {
  if (database) await database.query(`drop owned by ${role}, ${owner} cascade; drop role ${role}, ${owner}`)
  await database?.close()
})

async function readsOf(using: string, table = 'app.orders', to = 'public'): Promise<PolicyReads> {
  await database.query(`create policy p on ${table} for select to ${to} using (${using})`)
  try {
    const [row] = await database.query(`select '${table}'::regclass::oid::text as relid`)
    const relid = row?.relid as string
    const [found] = await database.query(POLICY_READS, [[relid], [role]])
    return policyReadsOf(relid, found?.reads as string)
  } finally {
    await database.query(`drop policy p on ${table}`)
  }
}

const tablesOf = ({ tables }: PolicyReads) =>
  Object.fromEntries(
    tables.map(({ schema, name, columns }) => [
      `${schema}.${name}`,
      columns === undefined ? 'all' : [...columns].sort(),
    ]),
  )
const wordsOf = ({ unknown }: PolicyReads) => unknown.map(({ what, reason }) => `${what} ${reason}`)

describe('what a policy reads', () => {
  it.each<[string, string, Record<string, unknown>]>([
    ['a claim', `owner = (${SUB})`, { own: ['owner'] }],
    ['nothing', 'true', { own: [] }],
    ['a column in a condition of two', `total > 4 and (owner is null or org = 1)`, { own: ['org', 'owner', 'total'] }],
    ['another table', `exists (select from app.members m where m.org = orders.org and m.person = (${SUB}))`, { own: ['org'], tables: { 'app.members': ['org', 'person'] } }],
    ['the rows of another table, whatever they hold', `exists (select from app.members)`, { tables: { 'app.members': [] } }],
    ['tables in each other', `org in (select id from app.orgs where parent in (select org from app.members))`, { own: ['org'], tables: { 'app.members': ['org'], 'app.orgs': ['id', 'parent'] } }],
    ['the policies of another table for the role, and not those of other roles', `org in (select org from app.secrets)`, { own: ['org'], tables: { 'app.orgs': ['id'], 'app.secrets': ['org'] } }],
    ['a view, under the rights of its owner', `org in (select org from app.owned)`, { own: ['org'], tables: { 'app.secrets': ['org'] } }],
    ['a partition', `exists (select from app.logs_now l where l.org = orders.org)`, { own: ['org'], tables: { 'app.logs_now': ['org'] } }],
    ['the whole row', `app.whole(orders)`, { own: undefined }],
    ['the whole row of another table', `exists (select from app.members m where row_to_json(m)::text = 'x')`, { own: undefined, tables: { 'app.members': 'all' } }],
    ['a system column', `ctid is not null`, { own: undefined }],
    ['plain functions of claims', `owner = auth.uid() and owner = auth.claim('sub')`, { own: ['owner'] }],
    ['functions of Postgres that depend on settings alone', `lower(owner) = format('%s', total::text) and to_char(total, '9') <> to_jsonb(owner)::text`, { own: ['owner', 'total'] }],
    ['what a function declares, with the policies of these tables', 'app.declared()', { tables: { 'app.members': 'all', 'app.orgs': ['id'], 'app.secrets': 'all' } }],
    ['a function that declares that it reads nothing', 'app.declared_nothing()', {}],
    ['the membership of the role', `pg_has_role('pg_monitor', 'usage')`, {}],
  ])('%s', async (_name, using, expected) => {
    const reads = await readsOf(using)
    expect({
      own: reads.own && [...reads.own].sort(),
      tables: tablesOf(reads),
      unknown: wordsOf(reads),
    }).toEqual({ own: [], tables: {}, unknown: [], ...expected })
  }) // biome-ignore format: a table

  it.each([
    ['a body as text', `org in (select app.text_body())`, 'the function app.text_body() has its body as text'],
    ['a procedural language', `app.code()`, 'the function app.code() is written in plpgsql'],
    ['an operator', `id operator(app.===) org`, 'the function app.same(a integer, b integer) is written in plpgsql'],
    ['a declaration of a table that does not exist', `app.declared_wrongly()`, 'the function app.declared_wrongly() declares that it reads app.gone, which is no table'],
    ['now', `now() > '2020-01-01'`, 'the function now depends on more than its arguments'],
    ['CURRENT_DATE', `current_date > '2020-01-01'`, 'the current time changes without an event'],
    ['random', `random() < 2`, 'the function random depends on more than its arguments'],
    ['a privilege', `has_table_privilege('app.orgs', 'select')`, 'the function has_table_privilege depends on more than its arguments'],
    ['the catalogue', `exists (select from pg_class)`, 'pg_catalog.pg_class shows the system, whose changes are not logged'],
    ['all settings', `exists (select from pg_settings)`, 'pg_catalog.pg_settings shows the system, whose changes are not logged'],
    ['a materialized view', `org in (select id from app.kept)`, 'the materialized view app.kept cannot be watched'],
    ['a sequence', `exists (select last_value from app.numbers)`, 'the sequence app.numbers cannot be watched'],
    ['a sample', `exists (select from app.orgs tablesample system (1))`, 'TABLESAMPLE chooses rows at random'],
  ])('cannot be followed through %s', async (_name, using, words) => {
    expect(wordsOf(await readsOf(using))).toContain(words)
  }) // biome-ignore format: a table

  it('names the system view that pg_settings is made of nowhere else', async () => {
    expect(tablesOf(await readsOf(`exists (select from pg_settings)`))).toEqual({})
  })

  it('leads from a partition to the table that is watched', async () => {
    const [root] = await database.query(`select 'app.logs'::regclass::oid::text as relid`)
    const { tables } = await readsOf(`exists (select from app.logs_now)`)
    expect(tables.map(({ above }) => above)).toEqual([[root?.relid]])
  })

  it('includes the bodies of SQL functions that Postgres has parsed', async context => {
    if (!hasParsedBodies)
      return context.skip(true, 'Postgres has no parsed bodies of SQL functions before 14')
    const mine = await readsOf('org in (select app.my_orgs())')
    expect({ tables: tablesOf(mine), unknown: wordsOf(mine) }).toEqual({
      tables: { 'app.members': ['org', 'person'] },
      unknown: [],
    })
    // It runs as its owner, to which no policies of the table apply.
    const all = await readsOf('org in (select app.all_secrets())')
    expect({ tables: tablesOf(all), unknown: wordsOf(all) }).toEqual({
      tables: { 'app.secrets': ['org'] },
      unknown: [],
    })
  })

  it('is nothing for a role to which no policies apply', async () => {
    const reads = await readsOf('exists (select from app.members)', 'app.orders', owner)
    expect(reads).toMatchObject({ isSecured: true, tables: [] })
    await database.query(`alter role ${role} bypassrls`)
    expect(await readsOf('exists (select from app.members)')).toMatchObject({ isSecured: false, tables: [] })
    await database.query(`alter role ${role} nobypassrls`)
  })
})

describe('the claims that differ in every token', () => {
  it.each([
    ['are not read where single claims are', false, `owner = (${SUB})`],
    ['are not read by a function of one claim', false, 'owner = auth.uid()'],
    ['are not read by other settings', false, `owner = current_setting('app.x', true)`],
    ['may be read by their names', true, `owner = (current_setting('request.jwt.claims', true)::json ->> 'jti')`],
    ['may be read with all claims', true, `owner = current_setting('request.jwt.claims', true)`],
    ['may be read by a function of any claim', true, `owner = auth.claim('sub')`],
    ['may be read by a function that is not followed', true, 'app.declared()'],
  ])('%s', async (_name, expected, using) => {
    expect((await readsOf(using)).mayReadToken).toBe(expected)
  }) // biome-ignore format: a table
})
