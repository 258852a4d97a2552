import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLog, lines, type TestLog } from '../support/log.js'

let log: TestLog
let version: number
beforeAll(async () => {
  log = await createLog()
  version = Number((await log.query('show server_version_num'))[0]?.server_version_num)
})
afterAll(() => log.close())

async function table(definition: string, name = 't'): Promise<void> {
  await log.query(`drop table if exists ${name} cascade; create table ${name} (${definition})`)
  await log.watch(name)
  await log.fresh()
}

const images = async () => (await log.fresh()).map(event => JSON.parse(event.new ?? event.old ?? 'null'))

describe('the triggers log names', () => {
  it('that are quoted, in mixed case or Unicode, or contain quotes, dollars and percent signs', async () => {
    await log.query(`create schema "Odd ""schema"""`)
    const name = `"Odd ""schema"""."Tä''b$lq$ %s \\ ""le"""`
    await log.query(
      `create table ${name} ("Id" int primary key, "na""me" text, "%I %s" text, "$body$" text, "日本語" text, "a''b\\n" text)`,
    )
    await log.watch(name)
    await log.query(`insert into ${name} values (1, 'a', 'b', 'c', 'd', 'e')`)
    await log.query(`update ${name} set "日本語" = 'x'`)
    const events = await log.fresh()
    expect(JSON.parse(events[1]?.new ?? '')).toEqual({
      Id: 1, 'na"me': 'a', '%I %s': 'b', $body$: 'c', 日本語: 'x', "a''b\\n": 'e',
    }) // biome-ignore format: a row
    expect(await log.query('select schema_name, table_name from listenql.watched')).toContainEqual({
      schema_name: 'Odd "schema"',
      table_name: `Tä''b$lq$ %s \\ "le"`,
    })
    await log.query('select listenql.unwatch($1::regclass)', [name])
  })

  it('of columns that equal the names used in the triggers', async () => {
    await table(`id int primary key, _lq_r text, _lq_ri text, "_lq_r_" text, _lq_new text, _lq_old text, _lq_up int, _lq text, slot text,
      statement text, logged text, again text, image text, key text, i text, tg_op text, "new" text, "old" text, n text`)
    await log.query(
      `insert into t (id, _lq_r, _lq_ri, i, slot, statement, key, image, logged) values (1, 'r', 'ri', 'i', 's', 'st', 'k', 'im', 'l')`,
    )
    await log.query('update t set _lq_up = 7, tg_op = $1', ['x'])
    const [, updated] = await images()
    expect(updated).toMatchObject({
      id: 1,
      _lq_r: 'r',
      _lq_ri: 'ri',
      _lq_up: 7,
      i: 'i',
      slot: 's',
      statement: 'st',
      key: 'k',
      image: 'im',
      tg_op: 'x',
    })
    await log.query('delete from t')
    expect((await images()).length).toBe(1)
  })

  it('of a table without columns, and of a table with 1,600', async () => {
    await table('')
    await log.query('insert into t default values')
    expect(lines(await log.fresh())).toEqual(['I {}'])
    await table(Array.from({ length: 1600 }, (_, i) => `c${i} int`).join(', '))
    await log.query('insert into t (c0, c1599) values (1, 2); update t set c1 = 3')
    const [, wide] = await images()
    expect(Object.keys(wide as object).length).toBe(1600)
    expect(wide).toMatchObject({ c0: 1, c1: 3, c1599: 2, c5: null })
  })
})

describe('the triggers log values', () => {
  it('independently of the settings of the writer', async () => {
    await table(
      'id int primary key, f float8, t timestamptz, i interval, b bytea, d daterange, m money, r regclass',
    )
    const settings = [
      `set datestyle = 'German, DMY'`, `set timezone = 'Asia/Kathmandu'`, 'set extra_float_digits = -15', `set bytea_output = 'escape'`,
      `set intervalstyle = 'postgres_verbose'`, 'set quote_all_identifiers = on', `set default_transaction_isolation = 'serializable'`,
      'set default_transaction_deferrable = on', 'set synchronous_commit = off', 'set standard_conforming_strings = off', `set search_path = ''`,
      'set check_function_bodies = off', 'set row_security = off', 'set plan_cache_mode = force_custom_plan', 'set enable_hashjoin = off',
    ] // biome-ignore format: a list
    const values = (id: number) =>
      `(${id}, 0.30000000000000004, '2024-02-03 04:05:06.789+00', '1 day 02:03:04', decode('00ff', 'hex'), daterange('2024-01-02', '2024-03-04'), 1234.5, 'pg_class')`
    const weird = await log.connect()
    for (const setting of settings) await weird.query(setting)
    await log.query(`insert into t values ${values(1)}`)
    await weird.query(`insert into public.t values ${values(2)}`)
    const [plain, odd] = (await log.fresh()).map(event => event.new)
    expect(odd).toBe(plain?.replace('"id":1', '"id":2'))
    expect(JSON.parse(plain ?? '')).toMatchObject({
      f: 0.30000000000000004,
      t: '2024-02-03T04:05:06.789+00:00',
      i: 'P1DT2H3M4S',
      b: '\\x00ff',
      d: '[2024-01-02,2024-03-04)',
      r: 'pg_class',
    })
    await weird.query(`update public.t set f = 1; delete from public.t`)
    expect((await log.fresh()).map(event => event.operation)).toEqual(['U', 'U', 'D', 'D'])
  })

  it('of json columns that jsonb would refuse', async () => {
    await table('id int primary key, j json')
    await log.query(String.raw`insert into t values (1, '{"a": "\u0000", "b": 1e200000, "c" : [1.50,  2]}')`)
    expect(lines(await log.fresh())).toEqual([
      String.raw`I {"id":1,"j":{"a": "\u0000", "b": 1e200000, "c" : [1.50,  2]}}`,
    ])
  })

  it('of infinity, NaN and the earliest and latest times', async () => {
    await table('f float8, r float4, n numeric, t timestamp, d date')
    await log.query(`insert into t values ('NaN', '-Infinity', 'NaN', 'infinity', '-infinity')`)
    expect(lines(await log.fresh())).toEqual([
      'I {"f":"NaN","r":"-Infinity","n":"NaN","t":"infinity","d":"-infinity"}',
    ])
  })

  it('of arrays in the primary key so that no two keys look the same, and pairs rows by them', async () => {
    await table('k int[], v int, other int[], primary key (k)')
    await log.query(
      `insert into t values ('{1,2}', 1, '[0:1]={1,2}'), ('[0:1]={1,2}', 2, null), ('{{1},{2}}', 3, null)`,
    )
    await log.query(`update t set v = v + 10 where k <> '{{1},{2}}'`)
    await log.query(
      `begin; select 1 from t for update; with g as (delete from t where v = 11 returning *) insert into t select '[5:6]={1,2}', 4, null from g; commit`,
    )
    await log.query(`update t set k = '{1,2}' where v = 4; delete from t where v = 12`)
    expect(lines(await log.fresh())).toEqual([
      'I {"k":[1,2],"v":1,"other":[1,2]}',
      'I {"k":"[0:1]={1,2}","v":2,"other":null}',
      'I {"k":[[1],[2]],"v":3,"other":null}',
      'U {"k":[1,2],"v":1,"other":[1,2]} -> {"k":[1,2],"v":11,"other":[1,2]}',
      'U {"k":"[0:1]={1,2}","v":2,"other":null} -> {"k":"[0:1]={1,2}","v":12,"other":null}',
      'D {"k":[1,2],"v":11,"other":[1,2]}',
      'I {"k":"[5:6]={1,2}","v":4,"other":null}',
      'D {"k":"[5:6]={1,2}","v":4,"other":null}',
      'I {"k":[1,2],"v":4,"other":null}',
      'D {"k":"[0:1]={1,2}","v":12,"other":null}',
    ])
  })

  it('of user-defined types by their output function, without running user-defined casts', async () => {
    await log.query(`create type mood as enum ('sad', 'ok'); create type spot as (x int, y text);
      create domain age as int check (value >= 0); create domain moody as mood; create type span as range (subtype = int4);
      create function boom(mood) returns json language plpgsql as 'begin raise exception ''ran''; end';
      create function boom(span) returns json language plpgsql as 'begin raise exception ''ran''; end';
      create function boom_text(mood) returns text language plpgsql as 'begin raise exception ''ran''; end';
      create cast (mood as json) with function boom(mood); create cast (span as json) with function boom(span);
      create cast (mood as text) with function boom_text(mood) as assignment`)
    const columns =
      'm mood, ms mood[], mm mood[][], s spot, ss spot[], a age, aa age[], mo moody, sp span, ia int[], n mood'
    await table(`id int primary key, ${columns}`)
    await log.query(
      `insert into t values (1, 'sad', '{sad,NULL,ok}', '{{sad,ok}}', row(1, 'a,b'), array[row(1, null)::spot], 5, '{6,7}', 'ok', '[1,3)', '{{1,2}}')`,
    )
    await log.query(`insert into t (id, s) values (2, row(null, null))`)
    await log.query(`update t set id = 3 where id = 1`)
    const [first, second] = await images()
    expect(first).toEqual({
      id: 1, m: 'sad', ms: ['sad', null, 'ok'], mm: '{{sad,ok}}', s: '(1,"a,b")', ss: ['(1,)'], a: 5, aa: [6, 7], mo: 'ok', sp: '[1,3)',
      ia: [[1, 2]], n: null,
    }) // biome-ignore format: a row
    expect(second).toMatchObject({ id: 2, s: '(,)', m: null, ms: null })
    // The same value as a primary key, by which rows are paired.
    await table('m mood primary key, v int', 'k')
    await log.query(`insert into k values ('sad', 1); update k set v = 2`)
    expect(lines(await log.fresh())).toEqual([
      'I {"m":"sad","v":1}',
      'U {"m":"sad","v":1} -> {"m":"sad","v":2}',
    ])
  })

  it('of a column that becomes an enum with a cast between two refreshes, in sessions of every isolation level', async () => {
    await table('id int primary key, v text')
    await log.query(`create type trap as enum ('a'); create function trapped(trap) returns json language plpgsql as 'begin raise exception ''ran''; end';
      create cast (trap as json) with function trapped(trap)`)
    const warm = await log.connect()
    const old = await log.connect()
    await warm.query(`insert into t values (1, 'a')`)
    await old.query('begin isolation level repeatable read; select 1')
    await log.query(`alter table t alter v type trap using v::trap`)
    await warm.query(`insert into t values (2, 'a')`)
    await old.query(`insert into t values (3, 'a'); commit`)
    expect((await log.fresh()).map(event => event.new)).toEqual([
      '{"id":1,"v":"a"}',
      '{"id":2,"v":"a"}',
      '{"id":3,"v":"a"}',
    ])
  })

  it('of an array of enums in a table that is altered under a warm session', async () => {
    await log.query(`create type shade as enum ('dark', 'light')`)
    await table('id int primary key, s shade[], gone int')
    const warm = await log.connect()
    await warm.query(`insert into t values (1, '{dark,NULL}', 1)`)
    await log.query('alter table t drop column gone, alter s type text using s::text')
    await warm.query(
      `insert into t values (2, 'x'); update t set s = 'y' where id = 2; delete from t where id = 2`,
    )
    expect(lines(await log.fresh())).toEqual([
      'I {"id":1,"s":["dark",null],"gone":1}',
      'I {"id":2,"s":"x"}',
      'U {"id":2,"s":"x"} -> {"id":2,"s":"y"}',
      'D {"id":2,"s":"y"}',
    ])
  })

  it('of keys, which are compared as texts whatever their collation', async () => {
    const [icu] = await log.query(`select 1 from pg_collation where collprovider = 'i' limit 1`)
    if (icu)
      await log.query(
        `create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
      )
    await table(`a text collate "C", b text collate ${icu ? 'loose' : '"POSIX"'}, v int, primary key (a, b)`)
    await log.query(`insert into t values ('x', 'y', 1); update t set v = 2; update t set b = 'Y'`)
    expect((await log.fresh()).map(event => event.operation).sort()).toEqual(['D', 'I', 'I', 'U'])
  })

  it('of hstore and citext', async () => {
    const available = await log.query(
      `select 1 from pg_available_extensions where name in ('hstore', 'citext')`,
    )
    expect(available.length).toBe(2) // both are shipped with Postgres; without them this test would prove nothing
    await log.database.query('create extension hstore; create extension citext')
    await table('c citext primary key, h hstore, hs hstore[]')
    await log.query(
      `insert into t values ('Ab', 'a=>1, b=>NULL', array['x=>y'::hstore]); update t set c = 'aB'`,
    )
    const events = await log.fresh()
    expect(JSON.parse(events[0]?.new ?? '')).toEqual({ c: 'Ab', h: '"a"=>"1", "b"=>NULL', hs: ['"x"=>"y"'] })
    expect(
      events
        .slice(1)
        .map(event => event.operation)
        .sort(),
    ).toEqual(['D', 'I']) // another key, as a client has it
  })

  it('of generated columns, of columns after dropped ones, and of a megabyte', async () => {
    await table(
      `id int primary key, gone text, a int, g int generated always as (a * 2) stored${version >= 180000 ? ', h int generated always as (a * 3) virtual' : ', h int'}`,
    )
    await log.query('alter table t drop column gone')
    await log.refresh()
    await log.query('insert into t (id, a) values (1, 5); update t set a = 6')
    expect(await images()).toEqual(
      [5, 6].map(a => ({ id: 1, a, g: a * 2, h: version >= 180000 ? a * 3 : null })),
    )
    await table('id int primary key, v text')
    await log.query(`insert into t values (1, repeat('ä', 1000000))`)
    expect((await log.fresh())[0]?.new?.length).toBe(1_000_000 + '{"id":1,"v":""}'.length)
  })
})

describe('session_replication_role = replica', () => {
  it('limits logging to tables that are watched with always', async () => {
    await log.database.query(
      'create table plain (id int primary key); create table kept (id int primary key)',
    )
    await log.database.query(`select listenql.watch('plain'), listenql.watch('kept', true)`)
    await log.refresh()
    await log.database.query(
      `set session_replication_role = replica; insert into plain values (1); insert into kept values (1); reset session_replication_role`,
    )
    expect(lines(await log.fresh())).toEqual(['I {"id":1}'])
  })
})
