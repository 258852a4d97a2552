import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readCatalog, readCatalogState } from '../../src/catalog/catalog.js'
import { createLog, type TestLog } from '../support/log.js'
import { createServerLogin, type ServerLogin } from '../support/server-login.js'

let log: TestLog
let server: ServerLogin
let client: pg.Client

beforeAll(async () => {
  log = await createLog()
  server = await createServerLogin(log)
  client = await server.connect()
})
afterAll(async () => {
  await server.close()
  await log.close()
})
beforeEach(() =>
  log.query('drop schema if exists fk cascade; create schema fk; set search_path = fk, public'),
)

/** The foreign keys of all tables in schema fk, with the referenced table by its name. */
async function read() {
  const tables = await readCatalog(client)
  const names = new Map(tables.map(({ relid, name }) => [relid, name]))
  return Object.fromEntries(
    tables
      .filter(({ schema }) => schema === 'fk')
      .map(({ name, foreignKeys }) => [
        name,
        foreignKeys?.map(key => ({ ...key, references: names.get(key.references) })),
      ]),
  )
}

describe('the foreign keys of the catalogue', () => {
  it('are those between watched tables, with their operators and comments', async () => {
    await log.query(`create table teams (org int, no int, primary key (org, no));
      create table towns (id int primary key);
      create table matches (id int primary key, home_org int, home_no int, town int8 references towns, note text,
        constraint home foreign key (home_no, home_org) references teams (no, org));
      comment on constraint home on matches is 'Where it is played'`)
    await log.watch('fk.teams', 'fk.matches')
    expect(await read()).toEqual({
      teams: undefined,
      matches: [
        {
          name: 'home',
          columns: ['home_no', 'home_org'],
          references: 'teams',
          referencedColumns: ['no', 'org'],
          operators: ['operator(pg_catalog.=)', 'operator(pg_catalog.=)'],
          collations: [null, null],
          isUnique: false,
          comment: 'Where it is played',
        },
      ],
    })
    await log.watch('fk.towns')
    expect((await read()).matches).toMatchObject([
      { name: 'home' },
      { columns: ['town'], references: 'towns' },
    ])
  })

  it('know whether a row is referenced by one row at most', async () => {
    await log.query(`create table a (id int primary key, x int unique, y int, unique (x, y));
      create table one (id int primary key references a, b int, c int, d int, e int, f int,
        foreign key (b) references a, foreign key (c, d) references a (x, y), foreign key (e) references a, foreign key (f) references a);
      create unique index on one (b) include (e); create unique index on one (d, c); create unique index on one (e) where e > 0;
      create unique index on one ((f + 0));
      create table mother (id int primary key, a int unique references a); create table daughter () inherits (mother)`)
    await log.watch('fk.a', 'fk.one', 'fk.mother')
    const { one, mother } = await read()
    expect(one?.map(({ columns, isUnique }) => [columns.join(), isUnique])).toEqual([
      ['b', true],
      ['c,d', true],
      ['e', false],
      ['f', false],
      ['id', true],
    ])
    expect(mother).toMatchObject([{ columns: ['a'], isUnique: false }])
  })

  it('of partitioned and self-referencing tables come once', async () => {
    await log.query(`create table tree (id int primary key, parent int references tree);
      create table parted (id int, tree int references tree, primary key (id)) partition by range (id);
      create table parted_1 partition of parted for values from (0) to (10);
      create table leaf (id int primary key, parted int references parted)`)
    await log.watch('fk.tree', 'fk.parted', 'fk.leaf')
    const { tree, parted, leaf } = await read()
    expect(tree).toMatchObject([{ columns: ['parent'], references: 'tree', referencedColumns: ['id'] }])
    expect(parted).toMatchObject([{ columns: ['tree'], references: 'tree' }])
    expect(leaf).toMatchObject([{ columns: ['parted'], references: 'parted' }])
    expect([tree, parted, leaf].map(keys => keys?.length)).toEqual([1, 1, 1])
  })

  it('compare with the operators of the constraint', async () => {
    await log.query(`create extension if not exists citext schema public;
      create table words (word public.citext primary key); create table uses (id int primary key, word public.citext references words)`)
    await log.watch('fk.words', 'fk.uses')
    expect((await read()).uses).toMatchObject([{ operators: ['operator(public.=)'] }])
  })

  it('compare texts by the collation of the referenced column', async () => {
    await log.query(`create collation fk.careless (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
      create table codes (code text collate "C" primary key, other text unique, careless text collate fk.careless unique);
      create table uses (id int primary key, code text collate "POSIX" unique references codes, other text references codes (other))`)
    await log.watch('fk.codes', 'fk.uses')
    expect((await read()).uses).toMatchObject([
      { columns: ['code'], collations: ['pg_catalog."C"'], isUnique: true },
      { columns: ['other'], collations: ['pg_catalog."default"'] },
    ])
  })

  it('leave out keys that a cast of a user compares', async () => {
    await log.query(`create type pin as (a int); create function fk.to_int(pin) returns int language sql immutable as 'select $1.a';
      create cast (pin as int) with function fk.to_int(pin) as implicit;
      create domain strong_pin as pin; create table safes (id int primary key);
      create table pins (id int primary key references safes, x pin references safes, y strong_pin references safes)`)
    await log.watch('fk.safes', 'fk.pins')
    expect((await read()).pins?.map(({ columns }) => columns)).toEqual([['id']])
  })

  it('leave out temporal keys', async () => {
    const [version] = await log.query('show server_version_num')
    const isTemporal = Number(version?.server_version_num) >= 180000
    await log.query(`create extension if not exists btree_gist schema public;
      create table rooms (id int, at daterange, primary key (id, at${isTemporal ? ' without overlaps' : ''}));
      create table stays (id int primary key, room int, at daterange, foreign key (room, ${isTemporal ? 'period at' : 'at'})
        references rooms (id, ${isTemporal ? 'period at' : 'at'}))`)
    await log.watch('fk.rooms', 'fk.stays')
    expect((await read()).stays?.length ?? 0).toBe(isTemporal ? 0 : 1)
  })

  it.each([
    ['a foreign key is added', 'alter table c add foreign key (p) references p'],
    ['a foreign key is dropped', 'alter table c drop constraint old'],
    ['a foreign key is renamed', 'alter table c rename constraint old to other'],
    ['a comment is made', `comment on constraint old on c is '@graphql({})'`],
    ['a unique index is made', 'create unique index on c (old)'],
  ])('belong to the digest: %s', async (_name, change) => {
    await log.query(
      'create table p (id int primary key); create table c (id int primary key, p int, old int constraint old references p)',
    )
    await log.watch('fk.p', 'fk.c')
    const before = (await readCatalogState(client)).digest
    expect((await readCatalogState(client)).digest).toBe(before)
    await log.query(change)
    expect((await readCatalogState(client)).digest).not.toBe(before)
  })
})
