import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCatalog, readCatalogState, readPaused } from '../../src/catalog/catalog.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createLog, type TestLog } from '../support/log.js'
import { createServerLogin, type ServerLogin } from '../support/server-login.js'

let log: TestLog
let server: ServerLogin
let client: pg.Client
let version: number

beforeAll(async () => {
  log = await createLog()
  server = await createServerLogin(log)
  client = await server.connect()
  version = Number((await log.query('show server_version_num'))[0]?.server_version_num)
  await log.database.query('create extension citext schema public')
})
afterAll(async () => {
  await server.close()
  await log.close()
})

async function read(name: string): Promise<WatchedTable> {
  const found = (await readCatalog(client)).find(table => table.name === name)
  if (!found) throw new Error(`${name} is not in the catalogue`)
  return found
}

/** Columns as `name type category` with their other properties. */
function words({ columns }: WatchedTable): string[] {
  return columns.map(({ name, typeName, category, isArray, notNull, enumLabels, enumType }) =>
    [
      `${name}: ${typeName} is ${category}${isArray ? '[]' : ''}`,
      notNull && 'not null',
      enumLabels && `(${enumLabels.join(' ')})`,
      enumType,
    ]
      .filter(Boolean)
      .join(' '),
  )
}

/** Whether a part of the state is changed by an action. */
async function changes(part: 'digest' | 'pulse', what: () => Promise<unknown>): Promise<boolean> {
  const before = await readCatalogState(client)
  await what()
  return (await readCatalogState(client))[part] !== before[part]
}

describe('the catalogue of watched tables', () => {
  it('shows types of every kind, through domains and arrays', async () => {
    await log.query(`create type mood as enum ('sad', 'ok', 'happy'); alter type mood add value 'so so' before 'ok';
      create domain feeling as mood; create domain strong_feeling as feeling not null;
      create domain age as int4 check (value >= 0); create domain sure_age as age not null; create domain tags as text[];
      create domain code as char(3) not null; create type spot as (x int, y int); create type span as range (subtype = int4)`)
    await log.query(`create table types (i2 int2, i4 int4 not null, i8 int8, n numeric(10, 2), f4 float4, f8 float8, b bool, t text, v varchar(20),
      c char(3), nm name, ci citext, u uuid, tz timestamptz(3), ts timestamp, d date, ti time, tiz timetz, iv interval, j json, jb jsonb,
      by bytea, m mood, ms mood[] not null, fe feeling, sf strong_feeling, fes feeling[], a age, sa sure_age, sas sure_age[], tg tags,
      co code, sp spot, sps spot[], sn span, ip inet, ipa inet[], ch "char", mm int4[][], primary key (u, i8, t))`)
    await log.watch('types')
    const table = await read('types')
    expect(table).toMatchObject({ schema: 'public', comment: null, key: ['u', 'i8', 't'], generation: 1, wholeFrom: 1, readable: false })
    expect(words(table)).toEqual([
      'i2: smallint is int2', 'i4: integer is int4 not null', 'i8: bigint is int8 not null', 'n: numeric(10,2) is numeric',
      'f4: real is float4', 'f8: double precision is float8', 'b: boolean is bool', 't: text is text not null',
      'v: character varying(20) is text', 'c: character(3) is bpchar', 'nm: name is text', 'ci: public.citext is citext',
      'u: uuid is uuid not null', 'tz: timestamp(3) with time zone is timestamptz', 'ts: timestamp without time zone is timestamp',
      'd: date is date', 'ti: time without time zone is time', 'tiz: time with time zone is timetz', 'iv: interval is interval',
      'j: json is json', 'jb: jsonb is json', 'by: bytea is bytea', 'm: public.mood is enum (sad so so ok happy)',
      'ms: public.mood[] is enum[] not null (sad so so ok happy)', 'fe: public.feeling is enum (sad so so ok happy) public."mood"',
      'sf: public.strong_feeling is enum (sad so so ok happy) public."mood"',
      'fes: public.feeling[] is enum[] (sad so so ok happy) public."mood"', 'a: public.age is int4',
      'sa: public.sure_age is int4', 'sas: public.sure_age[] is int4[]', 'tg: public.tags is text[]',
      'co: public.code is bpchar', 'sp: public.spot is composite', 'sps: public.spot[] is composite[]',
      'sn: public.span is other', 'ip: inet is other', 'ipa: inet[] is other[]', 'ch: "char" is other', 'mm: integer[] is int4[]',
    ]) // biome-ignore format: a list
    const [since] = await log.query(`select since_n, since_token from listenql.watched where table_name = 'types'`)
    expect(table.since).toEqual({ n: Number(since?.since_n), token: Number(since?.since_token) })
  }) // biome-ignore format: long lines

  it('shows names, comments and the order of tables, whatever their names', async () => {
    await log.query(`create schema "Odd ""schema"""`)
    const name = `"Odd ""schema"""."Tä''b$ \\ ""le"""`
    await log.query(`create table ${name} ("Größe" int, "b""c" int primary key, gone int, " " text)`)
    await log.query(`alter table ${name} drop column gone;
      comment on table ${name} is 'It''s "this"'; comment on column ${name}."Größe" is E'two\\nlines'`)
    await log.query('create table "Zebra" (id int primary key); create table ant (id int)')
    await log.watch(name, '"Zebra"', 'ant')
    expect(await read(`Tä''b$ \\ "le"`)).toMatchObject({
      schema: 'Odd "schema"',
      comment: `It's "this"`,
      key: ['b"c'],
      columns: [
        { name: 'Größe', comment: 'two\nlines' },
        { name: 'b"c', comment: null },
        { name: ' ', comment: null },
      ],
    })
    expect((await read('ant')).key).toEqual([])
    const order = (await readCatalog(client)).map(table => `${table.schema}.${table.name}`)
    expect(order).toEqual([...order].sort())
    expect(order.indexOf('public.Zebra')).toBeLessThan(order.indexOf('public.ant'))
  })

  it('shows only the root of a partitioned table, with its columns in its order', async () => {
    await log.query(`create table parted (id int, v text, primary key (id)) partition by range (id);
      create table part_1 (v text, id int not null); alter table parted attach partition part_1 for values from (1) to (10)`)
    await log.watch('parted')
    expect(words(await read('parted'))).toEqual(['id: integer is int4 not null', 'v: text is text'])
    expect((await readCatalog(client)).map(table => table.name)).not.toContain('part_1')
  })

  it('shows a column as nullable if it may be null in a child, or in older rows', async () => {
    await log.query(
      `create table parent (id int primary key, v text not null); create table child () inherits (parent)`,
    )
    await log.watch('parent')
    expect((await read('parent')).columns[1]?.notNull).toBe(true)
    if (version >= 180000) {
      await log.query(`create table late (id int primary key, v text); insert into late values (1, null);
        alter table late add constraint v_there not null v not valid`)
      await log.watch('late')
      expect((await read('late')).columns[1]?.notNull).toBe(false)
      expect(
        await changes('digest', () =>
          log.query(`update late set v = ''; alter table late validate constraint v_there`),
        ),
      ).toBe(true)
      expect((await read('late')).columns[1]?.notNull).toBe(true)
      return
    }
    await log.query('alter table child alter v drop not null')
    await log.refresh()
    expect((await read('parent')).columns[1]?.notNull).toBe(false)
  })

  it('is the same under any search_path and with any objects in it', async () => {
    const before = await readCatalog(client)
    await log.database.query(`create schema trap; grant usage on schema trap to ${server.name};
      create view trap.pg_class as select 1 as x; create view trap.pg_type as select 1 as x; create view trap.watched as select 1 as x;
      create function trap.sum(bigint) returns int language sql as 'select 1/0'; create domain trap.text as int; create domain trap.oid as int;
      create function trap.format_type(oid, int) returns text language sql as 'select (1/0)::text'`)
    const odd = await server.connect()
    for (const path of ['trap, pg_catalog', 'trap', "''"]) {
      await odd.query(
        `set search_path = ${path}; set quote_all_identifiers = on; set extra_float_digits = -15; set default_transaction_isolation = 'serializable'`,
      )
      expect(await readCatalog(odd), path).toEqual(before)
      expect(await readCatalogState(odd), path).toEqual(await readCatalogState(client))
    }
  })

  it('leaves out tables that have no whole history, were dropped, or are no longer watched', async () => {
    await log.query(
      'create table a1 (id int primary key); create table a2 (id int primary key); create table a3 (id int primary key)',
    )
    for (const table of ['a1', 'a2', 'a3']) await log.query('select listenql.watch($1::regclass)', [table])
    const names = async () =>
      (await readCatalog(client)).map(({ name }) => name).filter(name => /^a\d$/.test(name))
    expect(await names()).toEqual([])
    await log.refresh()
    expect(await names()).toEqual(['a1', 'a2', 'a3'])
    await log.query(`drop table a1; select listenql.unwatch('a2')`)
    expect(await names()).toEqual(['a3'])
    await log.query(`alter table a3 disable trigger listenql_update; select listenql.refresh()`)
    await log.query('set client_min_messages = warning')
    const left = await names()
    await log.query('alter table a3 enable trigger listenql_update; select listenql.refresh()')
    expect([left, await names()]).toEqual([[], ['a3']])
  })

  it('distinguishes these from unwatched tables, even if a history has begun since they were left out', async () => {
    await log.query('create table b1 (id int primary key); create table b2 (id int primary key)')
    await log.watch('b1', 'b2')
    const paused = async (whole: readonly WatchedTable[]) => {
      const relids = await readPaused(client, whole)
      const rows = await log.query('select relname from pg_class where oid = any ($1::oid[]) order by 1', [
        relids,
      ])
      return rows.map(({ relname }) => relname)
    }
    expect(await paused(await readCatalog(client))).toEqual([])
    await log.query('alter table b1 disable trigger listenql_update; select listenql.refresh()')
    const whole = await readCatalog(client)
    expect(await paused(whole)).toEqual(['b1'])
    await log.query('alter table b1 enable trigger listenql_update; select listenql.refresh()')
    expect(await paused(whole)).toEqual(['b1'])
    await log.query(`select listenql.unwatch('b1')`)
    expect(await paused(whole)).toEqual([])
  })

  it('refuses a login without privileges, and leaves the connection usable', async () => {
    const stranger = await createServerLogin(log, { granted: false })
    const odd = await stranger.connect()
    await expect(readCatalog(odd)).rejects.toMatchObject({ code: '42501' })
    expect((await odd.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await stranger.close()
  })
})

describe('the state', () => {
  it('has a digest that remains while rows are written, and changes with everything that the catalogue shows', async () => {
    await log.query(
      `create type hue as enum ('red'); create domain short as text; create table d (id int primary key, h hue, s short)`,
    )
    await log.watch('d')
    expect(
      await changes('digest', () =>
        log.query(`insert into d values (1, 'red', 'x'); analyze d; create table other (id int)`),
      ),
    ).toBe(false)
    const steps = [
      `comment on table d is 'one'`, `comment on table d is 'two'`, `comment on column d.h is 'three'`, `comment on column d.h is null`,
      `alter type hue add value 'green'`, `alter type hue rename value 'green' to 'blue'`, `alter type hue rename to colour`,
      'alter domain short set not null', `grant select on d to ${server.name}`, `revoke select on d from ${server.name}`,
      'alter table d rename to e', 'alter table e add column more int; select listenql.refresh()', `select listenql.unwatch('e')`,
    ] // biome-ignore format: a list
    for (const step of steps) expect(await changes('digest', () => log.query(step)), step).toBe(true)
  })

  it('has a pulse that changes with everything that refresh() examines', async () => {
    await log.query(`create table p (id int, v text default 'x', primary key (id)) partition by range (id);
      create table pp partition of p for values from (1) to (9); create table loose (id int not null, v text not null)`)
    await log.watch('p')
    expect((await readCatalogState(client)).isWhole).toBe(true)
    const quiet = `insert into p values (1, 'a'); analyze p; comment on table p is 'x'; create temp table passing (id int); select listenql.refresh()`
    expect(await changes('pulse', () => log.query(quiet))).toBe(false)
    const steps = [
      'alter table p add column w int', 'alter table p rename w to x', 'alter table p alter x type bigint', 'alter table p drop column x',
      'alter table p alter v set not null', `alter table p alter v set default 'y'`, 'alter table p attach partition loose for values from (10) to (20)',
      'alter table p detach partition loose', 'alter table p drop constraint p_pkey', 'alter table p add primary key (id)',
      'alter table pp disable trigger listenql_insert', 'alter table pp enable trigger listenql_insert',
      'alter table pp disable trigger listenql_insert; alter table pp enable trigger listenql_insert',
      'drop trigger listenql_delete on p', 'create table made_again (id int)', 'drop table made_again', 'alter table loose rename to lost',
    ] // biome-ignore format: a list
    for (const step of steps) expect(await changes('pulse', () => log.query(step)), step).toBe(true)
    await log.query(
      `select listenql.refresh(); create table fresh (id int primary key); select listenql.watch('fresh')`,
    )
    expect((await readCatalogState(client)).isWhole).toBe(false)
    expect(await changes('pulse', () => log.query(`select listenql.unwatch('fresh')`))).toBe(true)
  })

  it('includes whether our login may read the table', async () => {
    await log.query('create table r (id int primary key, v text)')
    await log.watch('r')
    const readable = async () => (await read('r')).readable
    expect(await readable()).toBe(false)
    await log.query(`grant select (id) on r to ${server.name}`)
    expect(await readable()).toBe(false)
    await server.mayRead('r')
    expect(await readable()).toBe(true)
  })
})
