import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { grantSql, SERVER_FUNCTIONS } from '../../src/log/install.js'
import { DECOYS } from '../support/decoys.js'
import { createLog, lines, refusal, type TestLog } from '../support/log.js'

let log: TestLog
let writer: string
let server: string
let hasMerge: boolean
/** Runs SQL as another role, in a transaction. */
async function as(role: string, sql: string): Promise<void> {
  const client = await log.connect({ connectionString: log.database.adminUrl })
  try {
    await client.query(`begin; set local role ${role}; ${sql}; commit`)
  } finally {
    await client.end()
  }
}

beforeAll(async () => {
  log = await createLog()
  hasMerge = Number((await log.query('show server_version_num'))[0]?.server_version_num) >= 150000
  writer = `${log.database.name}_writer`
  server = `${log.database.name}_server`
  await log.database.query(`create role ${writer}; create role ${server}`)
  await log.query('create table t (id int primary key, v text)')
  await log.watch('t')
  await log.query(`grant select, insert, update, delete, truncate on t to ${writer}`)
  await log.query(grantSql(server))
})
afterAll(async () => {
  await log.database.query(`drop owned by ${writer}, ${server} cascade`)
  await log.database.query(`drop role ${writer}, ${server}`)
  await log.close()
})

describe('a writer', () => {
  it('needs no privilege on schema listenql', async () => {
    await log.fresh()
    await as(writer, `insert into t values (1, 'a'); update t set v = 'b'; delete from t; truncate t`)
    expect((await log.fresh()).map(event => event.operation)).toEqual(['I', 'U', 'D', 'T'])
    const [row] = await log.query(`select has_schema_privilege($1, 'listenql', 'usage') as has`, [writer])
    expect(row).toEqual({ has: false })
  })

  it('can neither read the log, publish, nor call the functions of the triggers', async () => {
    for (const sql of [
      'table listenql.event', `select listenql.publish('c', 'x')`, 'select * from listenql.newest()', 'select listenql.ring()',
      `select listenql.watch('t')`, `select listenql.unwatch('t')`, `select listenql.rotate('0 s')`, 'select listenql.cut_batch()',
    ]) expect(await refusal(as(writer, sql))).toBe('42501') // biome-ignore format: a list
  })

  it('cannot put objects of its own in the path of the triggers', async () => {
    await log.database.query(`create schema evil authorization ${writer}`)
    await log.database.query(`begin; set local role ${writer};
      create function evil.pg_sequence_last_value(regclass) returns bigint language plpgsql as 'begin raise exception ''evil ran''; end';
      create function evil.set_config(text, text, boolean) returns text language plpgsql as 'begin raise exception ''evil ran''; end';
      create function evil.row_to_json(record) returns json language plpgsql as 'begin raise exception ''evil ran''; end';
      create function evil.plus(int, int) returns int language plpgsql as 'begin raise exception ''evil ran''; end';
      create operator evil.+ (leftarg = int, rightarg = int, function = evil.plus);
      create function evil.cat(text, text) returns text language plpgsql as 'begin raise exception ''evil ran''; end';
      create operator evil.|| (leftarg = text, rightarg = text, function = evil.cat);
      create function evil.gt(bigint, bigint) returns boolean language plpgsql as 'begin raise exception ''evil ran''; end';
      create operator evil.> (leftarg = bigint, rightarg = bigint, function = evil.gt); commit`)
    await log.fresh()
    await log.database.query(`begin; set local role ${writer}; set local search_path = evil, pg_catalog, public;
      create temp table pg_sequences (x int) on commit drop;
      insert into public.t values (1, 'a'); update public.t set v = 'b'; delete from public.t; commit`)
    expect((await log.fresh()).map(event => event.operation)).toEqual(['I', 'U', 'D'])
  })
})

describe('the triggers, under a search_path full of decoys', () => {
  const kinds: [string, string, string, string][] = [
    ['a plain table', 'id int primary key, v text', `(1, 'a')`, `v = 'b'`],
    ['a key of two columns', 'id int, v text, w text, primary key (id, v)', `(1, 'a', 'w')`, `w = 'b'`],
    ['no key', 'v text', `('a')`, `v = 'b'`],
    ['columns that settings sway', 'id int primary key, v timestamptz, f float8, i interval, b bytea, m money',
      `(1, '2024-02-03 04:05:06+00', 0.3, '1 day', 'x', '1')`, 'v = null'],
    ['an enum', 'id int primary key, v public.mood', `(1, 'ok')`, `v = 'sad'`],
    ['an array of enums', 'id int primary key, v public.mood[]', `(1, '{ok}')`, `v = '{sad}'`],
    ['a type that depends on search_path', 'id int primary key, v pg_catalog.regclass', `(1, 'pg_catalog.pg_class')`, 'v = null'],
  ] // biome-ignore format: a table

  beforeAll(async () => {
    await log.query(`create type mood as enum ('sad', 'ok')`)
    for (const [i, [, columns]] of kinds.entries()) {
      await log.query(`create table decoyed_${i} (${columns})`)
      await log.watch(`decoyed_${i}`)
    }
    await log.query(`create table tangled (id int primary key, up int references tangled on delete cascade on update cascade, v int);
      create function touch() returns trigger language plpgsql set search_path = public as $$
        begin update tangled set v = v + 1 where id = new.id and v < 2; delete from tangled where id = new.id - 5; return new; end $$;
      create trigger touch after insert on tangled for each row execute function touch();
      create trigger first before insert on tangled for each row execute function touch();
      create table parted (id int, part int, primary key (id, part)) partition by list (part);
      create table parted_1 partition of parted for values in (1); create table parted_2 partition of parted for values in (2)`)
    await log.watch('tangled', 'parted')
    await log.database.query(DECOYS)
    await log.query('select listenql.arm(600)')
  })

  it('would fail if they called a decoy, and there are enough decoys', async () => {
    const [row] = await log.database.query(
      `select (select count(*)::int from pg_proc where pronamespace = 'decoy'::regnamespace) as functions,
        (select count(*)::int from pg_operator where oprnamespace = 'decoy'::regnamespace) as operators`,
    )
    expect(Number(row?.functions)).toBeGreaterThan(100)
    expect(Number(row?.operators)).toBeGreaterThan(100)
    for (const bitten of ['select 1 + 1', `select 'a'::text`, `select current_setting('jit')`]) {
      const client = await log.connect({
        connectionString: log.database.adminUrl,
        options: '-c search_path=decoy,pg_catalog',
      })
      expect(await refusal(client.query(bitten))).toMatch(/P0001|23514/)
    }
  })

  it.each(kinds.map(([name], i) => [name, i] as const))('%s', async (_, i) => {
    const [, , row, set] = kinds[i] ?? ['', '', '', '']
    const table = `public.decoyed_${i}`
    for (const setting of ['', `set timezone = 'Asia/Tokyo'; set extra_float_digits = -5;`]) {
      await log.fresh()
      const client = await log.connect({ connectionString: log.database.adminUrl })
      await client.query(`${setting} set search_path = decoy, pg_catalog, public`)
      const [insert, update, gone] = [
        `insert into ${table} values ${row}`,
        `update ${table} set ${set}`,
        `delete from ${table}`,
      ]
      for (const sql of [insert, update, gone]) await client.query(sql)
      await client.query(`begin; ${insert}; savepoint s; ${update}; ${gone}; truncate ${table}; commit`)
      const once = await log.fresh()
      expect(once.map(event => event.operation)).toEqual([...'IUDIUDT'])
      expect(once.slice(3, 6).map(event => [event.old, event.new])).toEqual(
        once.slice(0, 3).map(event => [event.old, event.new]),
      )
      // The table has just been altered, so its SQL is generated again.
      await log.query(`alter table ${table} add column extra int`)
      await client.query(`insert into ${table} values ${row}; ${update}; ${gone}`)
      expect((await log.fresh()).map(event => event.operation)).toEqual(['I', 'U', 'D'])
      await log.query(`alter table ${table} drop column extra`)
      await log.refresh()
    }
  })

  it('log nested statements, cascades and MERGE', async () => {
    const client = await log.connect({ connectionString: log.database.adminUrl })
    await client.query('set search_path = decoy, pg_catalog, public')
    await log.fresh()
    for (const begin of ['begin', 'begin; select pg_catalog.pg_current_xact_id()']) {
      await client.query(`${begin}; insert into public.tangled values (1, null, 0);
        with d as (delete from public.tangled returning *) insert into public.tangled select 2, null, 0 from d;
        insert into public.tangled values (3, 2, 5), (7, null, 5); savepoint s; update public.tangled set id = 4 where v operator(pg_catalog.=) 5 and up is null;
        delete from public.tangled; truncate public.tangled; commit`)
      expect((await log.fresh()).length).toBeGreaterThan(8)
      await client.query(
        `${begin}; insert into public.parted values (1, 1), (2, 1); delete from public.parted; commit`,
      )
      expect((await log.fresh()).map(event => event.operation)).toEqual([...'IIDD'])
      if (!hasMerge) continue
      await client.query(`${begin}; insert into public.parted values (1, 1);
        merge into public.parted p using public.parted s on s.id operator(pg_catalog.=) p.id when matched then update set part = 2;
        delete from public.parted; commit`)
      expect((await log.fresh()).map(event => event.operation)).toEqual([...'IDID'])
    }
  })
})

describe('the functions of the log', () => {
  it('have EXECUTE revoked from PUBLIC, including those of new tables', async () => {
    await log.query('create table later (id int primary key)')
    await log.watch('later')
    await log.query('alter table later add column v int')
    await log.refresh()
    const open =
      await log.query(`select p.oid::regprocedure::text as name from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
      where p.pronamespace = 'listenql'::regnamespace and a.grantee = 0`)
    expect(open).toEqual([])
    const relations = await log.query(
      `select c.relname from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'listenql'::regnamespace and a.grantee = 0`,
    )
    expect(relations).toEqual([])
  })

  it('pin search_path, except those that qualify every name because pinning would slow down each write or poll', async () => {
    const unpinned =
      await log.query(`select proname::text as name from pg_proc where pronamespace = 'listenql'::regnamespace
      and not coalesce(proconfig::text like '%search_path=pg_catalog, pg_temp%', false)`)
    const names = new Set(unpinned.map(row => String(row.name).replace(/_\d+$/, '')))
    expect([...names].sort()).toEqual([
      ...[
        'capture',
        'enter',
        'leave',
        'level',
        'mark_several',
        'may_be_merge',
        'number',
        'pin',
        'pull',
        'read',
        'ring',
      ],
      ...['set_merging', 'take', 'unpin'],
    ])
  })
})

describe("the server's login", () => {
  it('has the privileges for what it calls, and no others', async () => {
    const allowed = await log.query(
      `select p.oid::regprocedure::text as name from pg_proc p
      where p.pronamespace = 'listenql'::regnamespace and has_function_privilege($1, p.oid, 'execute')`,
      [server],
    )
    expect(allowed.map(row => row.name).sort()).toEqual(
      SERVER_FUNCTIONS.map(f => `listenql.${f.replaceAll(', ', ',')}`).sort(),
    )
    const tables = await log.query(
      `select relname::text as name from pg_class where relnamespace = 'listenql'::regnamespace and relkind in ('r', 'p', 'v', 'S')
      and has_table_privilege($1, oid, 'select, insert, update, delete, truncate')`,
      [server],
    )
    expect(tables).toEqual([{ name: 'watched' }])
  })

  it('can read, sleep, refresh and rotate', async () => {
    await as(
      server,
      `select * from listenql.newest(); select listenql.arm(1), listenql.renew(1), listenql.clear(0); select * from listenql.watched;
      select * from listenql.refresh(); select * from listenql.status(); select * from listenql.rotate('1 day');
      select * from listenql.pull((select n from listenql.newest()), (select token from listenql.newest()), 2147483647, 0, 0, 10)`,
    )
    expect(await refusal(as(server, `select listenql.publish('c', 'x')`))).toBe('42501')
  })
})

describe('a table of another owner', () => {
  it('is watched by its owner, who was granted watch()', async () => {
    const app = `${log.database.name}_app`
    await log.database.query(`create role ${app}; create schema app authorization ${app}`)
    try {
      await log.query(`grant usage on schema listenql to ${app}; grant execute on function listenql.watch(regclass, boolean),
        listenql.enroll(regclass, boolean, text), listenql.create_triggers(oid, boolean) to ${app}`)
      await as(app, `create table app.notes (id int primary key); select listenql.watch('app.notes')`)
      await log.refresh()
      await log.fresh()
      await as(app, 'insert into app.notes values (1)')
      expect(lines(await log.fresh())).toEqual(['I {"id":1}'])
      // A role without privileges on the table cannot.
      await log.query(`grant usage on schema listenql to ${writer}; grant execute on function listenql.watch(regclass, boolean),
        listenql.enroll(regclass, boolean, text), listenql.create_triggers(oid, boolean) to ${writer}`)
      await log.database.query('create table app.secret (id int primary key)')
      expect(await refusal(as(writer, `select listenql.watch('app.secret')`))).toBe('42501')
      // The owner of the log can unwatch it without a privilege on the table.
      await log.query(`select listenql.unwatch(relid) from listenql.watched where table_name = 'notes'`)
      const left = await log.database.query(
        `select tgname from pg_trigger where tgrelid = 'app.notes'::regclass`,
      )
      expect(left).toEqual([])
    } finally {
      await log.database.query(`drop owned by ${app} cascade`)
      await log.database.query(`drop role ${app}`)
    }
  })
})
