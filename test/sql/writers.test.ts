import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import { createLog, lines, type TestLog } from '../support/log.js'

/**
 * What the session, values and privileges of a writer may contain without harm to its writes, their order or
 * privileges.
 */

let log: TestLog
let version: number
beforeEach(async () => {
  log = await createLog()
  version = Math.floor(Number((await log.query('show server_version_num'))[0]?.server_version_num) / 10_000)
})
afterEach(() => log.close())

const inOneSession = async (...statements: string[]) => {
  const writer = await log.connect()
  for (const sql of statements) await writer.query(sql)
}
const AGAIN = `with d as (delete from t where id = 1 returning id) insert into t select id, 'new' from d`

describe('a writer', () => {
  it('with standard_conforming_strings = off writes, and its events are in order', async () => {
    await log.query('create table t (id int primary key, doc text)')
    await log.watch('t')
    await inOneSession(
      'set standard_conforming_strings = off',
      `insert into t values (1, 'a')`,
      'begin; select pg_current_xact_id()',
      AGAIN,
      'commit',
    )
    expect(lines(await log.fresh())).toEqual([
      'I {"id":1,"doc":"a"}',
      'D {"id":1,"doc":"a"}',
      'I {"id":1,"doc":"new"}',
    ])
  })

  it('with standard_conforming_strings = off delivers the rows that MERGE moves', async context => {
    if (version < 15) return context.skip(true, 'Postgres has no MERGE before 15')
    await log.query(`create table p (id int primary key) partition by range (id);
      create table p1 partition of p for values from (0) to (100); create table p2 partition of p for values from (100) to (200)`)
    await log.watch('p')
    await inOneSession(
      'set standard_conforming_strings = off',
      'insert into p values (2)',
      'merge into p using (values (2)) v(i) on p.id = v.i when matched then update set id = 102',
    )
    expect(lines(await log.fresh())).toEqual(['I {"id":2}', 'D {"id":2}', 'I {"id":102}'])
  })
})

describe('json that Postgres stores and cannot read', () => {
  it('does not prevent the ordering of one command', async () => {
    await log.query(`create table t (id int primary key, doc json);
      create function free(i int) returns int language sql as 'delete from t where id = i; select i'`)
    await log.watch('t')
    await log.query(`insert into t values (1, '{"a":"\\u0000"}')`)
    await inOneSession(
      'begin; select pg_current_xact_id()',
      `insert into t select free(1), '{"a":"\\ud800"}'`,
      'commit',
    )
    expect(lines(await log.fresh())).toEqual([
      'I {"id":1,"doc":{"a":"\\u0000"}}',
      'U {"id":1,"doc":{"a":"\\u0000"}} -> {"id":1,"doc":{"a":"\\ud800"}}',
    ])
  })

  it('does not prevent the ordering of a MERGE', async context => {
    if (version < 15) return context.skip(true, 'Postgres has no MERGE before 15')
    await log.query(`create table p (id int primary key, doc json) partition by range (id);
      create table p1 partition of p for values from (0) to (100)`)
    await log.watch('p')
    await log.query(`insert into p values (1, '{"a":"\\u0000"}')`)
    await log.query(
      `merge into p using (values (1)) v(i) on p.id = v.i when matched then update set doc = '{"b":"\\u0000"}'`,
    )
    expect(lines(await log.fresh()).at(-1)).toBe(
      'U {"id":1,"doc":{"a":"\\u0000"}} -> {"id":1,"doc":{"b":"\\u0000"}}',
    )
  })
})

it('casts of a writer are not called for a value that is too large', { timeout: 120_000 }, async () => {
  await log.query(`create type comp as (a text, b text); create table ev (id int primary key, v comp);
    create table proof (role text);
    create function evil(comp) returns text language plpgsql as $$ begin insert into public.proof values (current_user); return 'x'; end $$;
    create cast (comp as text) with function evil(comp)`)
  await log.watch('ev')
  await log.query(`insert into ev select 1, row(repeat(chr(1), 190000000), '')::comp`)
  expect(await log.query('select * from proof')).toEqual([])
  expect(lines(await log.fresh())).toEqual([expect.stringMatching(/^I \{"id":1,"v":null,"":\{"v":\d+\}\}$/)])
})

it('a watched partitioned table can be attached to another one', async () => {
  await log.query(`create table r (id int, primary key (id)) partition by range (id); create table r1 partition of r for values from (0) to (10);
    create table s (id int, primary key (id)) partition by range (id); create table s1 partition of s for values from (10) to (20)`)
  await log.watch('r', 's')
  await log.query('alter table r attach partition s for values from (10) to (20)')
  expect((await log.refresh()).map(({ table_name, change }) => `${table_name} ${change}`)).toContain(
    's lacking',
  )
})

describe('during the upgrade', () => {
  it('a grant to PUBLIC remains, and new functions are granted to no other role', async () => {
    const former = await createFormerLog(8)
    try {
      await former.query('grant execute on function listenql.publish(text, text) to public')
      await migrate(await former.connect())
      const open = await former.query(
        `select p.proname from pg_proc p where p.pronamespace = 'listenql'::regnamespace
         and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))`,
      )
      expect(open).toEqual([{ proname: 'publish' }])
    } finally {
      await former.close()
    }
  })

  it('sessions that wrote before keep working, including on a table that was altered just before', async () => {
    const former = await createFormerLog(8)
    try {
      await former.query('create table a (id int primary key); create table b (id int primary key)')
      await former.watch('a', 'b')
      await former.query('alter table a add v int')
      await migrate(await former.connect())
      const writer = await former.connect()
      for (const sql of [
        'begin; insert into b values (1); insert into b values (2); commit',
        'begin; select pg_current_xact_id(); insert into a values (1, 1); insert into b values (3); commit',
      ])
        await writer.query(sql)
      expect((await former.query('select id from b order by id')).map(({ id }) => id)).toEqual([1, 2, 3])
    } finally {
      await former.close()
    }
  })

  it('a login that may read the log may record what it cannot read', async () => {
    const former = await createFormerLog(8)
    const login = `login_${former.database.name}`
    try {
      await former.database.query(`create role ${login}`)
      await former.query(`grant execute on function listenql.newest(), listenql.kicks(xid8) to ${login}`)
      await migrate(await former.connect())
      const [row] = await former.query(
        `select bool_and(has_function_privilege($1, 'listenql.' || f, 'execute')) as may from unnest(array[
         'note_trouble(text, text, text, boolean)', 'forget_trouble(text)', 'troubles()', 'cursor_key()', 'extend_kick(bigint, text[])']) f`,
        [login],
      )
      expect(row).toEqual({ may: true })
    } finally {
      await former.query(`revoke all on all functions in schema listenql from ${login}`)
      await former.database.query(`drop role ${login}`)
      await former.close()
    }
  })
})

it('the function for MERGE logs nothing for a table that is not watched', async context => {
  if (version < 15) return context.skip(true, 'Postgres has no MERGE before 15')
  await log.query(`create table p (id int primary key) partition by range (id);
    create table p1 partition of p for values from (0) to (100); create table fake (id int)`)
  await log.watch('p')
  const [found] = await log.query(
    `select proname from pg_proc where pronamespace = 'listenql'::regnamespace and proname ~ '^merged_[0-9]'`,
  )
  await log.query(
    `create trigger x after insert on fake for each row execute function listenql.${found?.proname}()`,
  )
  await inOneSession(
    `begin; select set_config('listenql.statement', '9;UPDATE1.1=5p@1:0;', true), set_config('listenql.merging', '5', true)`,
    'insert into fake values (1)',
    'commit',
  )
  expect(await log.query('select * from listenql.event')).toEqual([])
})

it('a log without the key of its notes and without the trigger that dates kicks is repaired', async () => {
  await log.query(
    `alter table listenql.trouble drop constraint trouble_pkey; drop trigger kick_time on listenql.kick`,
  )
  await log.query(`select listenql.note_trouble('server', 'here', 'a reason', true)`)
  await log.query(`select listenql.note_trouble('server', 'there', 'a reason', true)`)
  expect(await log.query('select subject, place from listenql.troubles()')).toEqual([
    { subject: 'server', place: 'there' },
  ])
  await log.query('update listenql.history set database = 0')
  await log.newest()
  expect(
    await log.query(`select (select count(*)::int from pg_index where indrelid = 'listenql.trouble'::regclass and indisprimary) as keys,
      (select count(*)::int from pg_trigger where tgname = 'kick_time') as triggers`),
  ).toEqual([{ keys: 1, triggers: 1 }])
})
