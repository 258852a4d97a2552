import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readImageKinds } from '../../src/catalog/image-sql.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { comparisonOf } from '../../src/filters/comparisons.js'
import { databaseText, EVERYTHING, operatorsOf, parseFilter, toPredicate } from '../../src/filters/index.js'
import { newest, pull } from '../../src/log/log-queries.js'
import type { SortDirection } from '../../src/plan/plan.js'
import { planSql } from '../../src/plan/plan-sql.js'
import { PIN_SETTINGS } from '../../src/postgres/pinned-settings.js'
import { planOf, type Snapshot, type SnapshotRequest } from '../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../src/snapshots/snapshots.js'
import { PLAIN } from '../support/cursors.js'
import { filterOf, KINDS, storable, valueSql } from '../support/filter-values.js'
import type { TestLog } from '../support/log.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let log: TestLog
let table: WatchedLog['table']
let find: WatchedLog['find']
let client: pg.Client
let snapshots: Snapshots
let version: number

const ALL: SnapshotRequest = { filter: EVERYTHING, orderBy: [], limit: 10_000, offset: 0 }

beforeAll(async () => {
  watched = await createWatchedLog()
  ;({ log, table, find } = watched)
  // Defaults of the login that would change values, or prevent it from reading.
  const set = (setting: string) => log.database.query(`alter role ${watched.server.name} set ${setting}`)
  for (const setting of [
    `timezone = 'Asia/Kathmandu'`, `datestyle = 'German, DMY'`, `intervalstyle = 'postgres_verbose'`, 'extra_float_digits = -15',
    `bytea_output = 'escape'`, `search_path = 'public'`, 'quote_all_identifiers = on',
  ]) await set(setting) // biome-ignore format: a list
  client = await watched.server.connect()
  await set(`default_transaction_isolation = 'serializable'`) // under which the log itself cannot be read
  await set('default_transaction_read_only = on')
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    cursors: PLAIN,
  })
  version = Math.floor(Number((await log.query('show server_version_num'))[0]?.server_version_num) / 10_000)
  await log.database.query(`create extension citext schema public; create extension hstore schema public;
    create collation public.human (provider = icu, locale = 'en-US');
    create collation public.careless (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`)
  await log.query(`create type mood as enum ('sad', 'ok', 'Ärger', 'happy', 'a"b\\c,{}'); alter type mood add value 'afterthought' before 'ok';
    create domain small as int4 check (value < 2000000000); create domain label as text; create domain code as char(5);
    create domain feeling as mood; create domain exact as small; create type pair as (a int, b text); create domain moods as mood[];
    create type span as range (subtype = int4)`)
})
afterAll(async () => {
  await snapshots.close()
  await watched.close()
})

const column = (snapshot: Snapshot, name: string) => snapshot.rows.map(row => row.get(name))

/** The texts of the images that a snapshot would contain for a table. */
async function imageTexts(of: WatchedTable): Promise<string[]> {
  await client.query(`begin; ${PIN_SETTINGS}`)
  const kinds = await readImageKinds(client, of.columns)
  const sql = planSql(planOf(of, ALL), { kinds, text: databaseText('UTF8', new Set()), isSecured: false })
  const { rows } = await client.query({ ...sql, rowMode: 'array' })
  await client.query('rollback')
  return rows.map(([image]) => image as string)
}

describe('the rows of a snapshot', () => {
  it('are byte for byte the images in the log, for every type', async () => {
    const odd = {
      'mood[]': ['{}', '{sad,NULL,"a\\"b\\\\c,{}"}', '{{sad,ok},{happy,NULL}}', '[5:6]={sad,ok}'],
      moods: ['{}', '{sad,NULL}'],
      'feeling[]': ['{sad,NULL}'],
      'pair[]': ['{}', '{"(1,\\"a,b\\")",NULL,"(,)"}'],
      'exact[]': ['{1,2}'],
      span: ['[1,4)', 'empty'],
      'span[]': ['{"[1,4)",NULL}'],
      hstore: ['a=>1, b=>NULL', ''],
      'hstore[]': ['{"x=>y",NULL}'],
      'citext[]': ['{a,B}'],
      money: ['1234.5'],
      regclass: ['pg_class', 'pg_type'],
      regtype: ['public.mood', 'int4'],
      'inet[]': ['{10.0.0.1,::1}', '{{10.0.0.1},{::1}}'],
      cidr: ['10.0.0.0/8'],
      macaddr: ['08:00:2b:01:02:03'],
      'bit varying(9)': ['10101'],
      tsvector: ["'a':1 'b c':2"],
      tsquery: ["'a' & 'b'"],
      jsonpath: ['$.a[*] ? (@ > 1)'],
      pg_lsn: ['16/B374D848'],
      xid8: ['123'],
      box: ['(1,1),(0,0)'],
      path: ['((0,0),(1,1))'],
      'float8[]': ['{0.30000000000000004,NaN,NULL}'],
      'timestamptz[]': ['{"2024-02-03 04:05:06.789+05:45"}'],
      'interval[]': ['{"1 mon -2 days 03:04:05.6"}'],
      'bytea[]': ['{"\\\\x00ff"}'],
      'numeric[]': ['{1.50,NaN}'],
      'date[]': ['{infinity,"0044-03-15 BC"}'],
      'json[]': ['{"{\\"a\\" :  1.50}",NULL}'],
      ...(version >= 14 && { int4multirange: ['{[1,3),[5,9)}'] }),
    }
    const types = [...Object.keys(KINDS), ...Object.keys(odd)]
    const plain = types.map((type, i) => `c${i} ${type}`).join(', ')
    const generated = `, twice int generated always as (id * 2) stored${version >= 18 ? ', thrice int generated always as (id * 3) virtual' : ''}`
    const of = await table(`id int primary key, ${plain}${generated}`, 'Every "type"'.replaceAll('"', '_'))
    const name = `"${of.name}"`
    const rows = 40
    const values = types.map(type => {
      const literals = odd[type as keyof typeof odd]?.map(value => `${pg.escapeLiteral(value)}::${type}`)
      return literals
        ? Array.from({ length: rows }, (_, i) => literals[i % (literals.length + 1)] ?? 'null')
        : fc.sample(valueSql(type), rows).map(value => storable(value, version))
    })
    const from = await newest(client)
    for (let i = 0; i < rows; i++) {
      await log.query(
        `insert into ${name} (id, ${types.map((_, c) => `c${c}`).join(', ')}) values (${i}, ${values.map(of => of[i]).join(', ')})`,
      )
    }
    const { events } = await pull(client, from)
    const logged = events.map(event => event.new)
    expect(logged.length).toBe(rows)
    expect(await imageTexts(of)).toEqual(logged)
    // As the server delivers them.
    const taken = await snapshots.snapshot(of, ALL)
    expect(taken.rows.map(row => [row.get('id'), row.get('twice')])).toEqual(
      Array.from({ length: rows }, (_, i) => [i, i * 2]),
    )
    if (version >= 18) expect(column(taken, 'thrice')).toEqual(column(taken, 'id').map(id => Number(id) * 3))
  })

  it('are the images in the log for keys that are arrays, with any bounds', async () => {
    await log.query('create domain bounded as bigint[]')
    const of = await table(
      'a int[], b mood[], c bounded, d numeric[], v text, primary key (a, b, c, d)',
      'array keys',
    )
    const from = await newest(client)
    const large = `repeat('x', 300000)`
    await log.query(`insert into "array keys" values ('{1,2}', '{sad}', '{3}', '{1.50}', 'small'), ('[0:1]={1,2}', '{sad}', '{3}', '{1.50}', 'b'),
      ('{1,2}', '[2:2]={sad}', '[0:0]={3}', '[-1:-1]={1.50}', ${large}), ('[0:0][1:2]={{1,2}}', '{}', '{}', '{{1,2}}', 'c')`)
    const { events } = await pull(client, from)
    const images = events.map(event => (event.new ?? '').replace(/"v".*/, ''))
    expect(images).toEqual([
      '{"a":[1,2],"b":["sad"],"c":[3],"d":[1.50],',
      '{"a":"[0:1]={1,2}","b":["sad"],"c":[3],"d":[1.50],',
      '{"a":[1,2],"b":"[2:2]={sad}","c":"[0:0]={3}","d":"[-1:-1]={1.50}",',
      '{"a":"[0:0][1:2]={{1,2}}","b":[],"c":[],"d":[[1,2]],',
    ])
    expect((await imageTexts(of)).sort()).toEqual(events.map(event => event.new).sort())
    // The same if only a part of the key is read.
    const { rows } = await snapshots.snapshot(of, { ...ALL, columns: ['a'] })
    expect(rows.map(row => JSON.stringify(row.get('a'))).sort()).toEqual([
      '"[0:0][1:2]={{1,2}}"',
      '"[0:1]={1,2}"',
      '[1,2]',
      '[1,2]',
    ])
  })

  it('are right for a table without columns, one with unusual names, and one whose columns are named like our aliases', async () => {
    const none = await table('', 'none')
    await log.query('insert into none default values; insert into none default values')
    expect((await snapshots.snapshot(none, ALL)).rows.length).toBe(2)
    expect(await imageTexts(none)).toEqual(['{}', '{}'])
    const odd = await table(
      `"na""me %s" int primary key, _lq_r text, _lq_ri mood[], "_lq_r_" text, "日本" text, image text, t text`,
      'Odd näme',
    )
    const from = await newest(client)
    await log.query(`insert into "Odd näme" values (1, 'a', '{sad,ok}', 'b', 'c', 'd', 'e')`)
    const { events } = await pull(client, from)
    expect(await imageTexts(odd)).toEqual([events[0]?.new])
    const { rows } = await snapshots.snapshot(odd, {
      ...ALL,
      orderBy: [{ column: 'na"me %s', direction: 'DESC' }],
    })
    expect([rows[0]?.get('_lq_ri'), rows[0]?.get('日本')]).toEqual([['sad', 'ok'], 'c'])
  })

  it('include those of all partitions, and of inheritance children', async () => {
    await log.query(`create table parted (id int, v text, primary key (id)) partition by range (id);
      create table p1 partition of parted for values from (0) to (10); create table p2 (v text, id int not null);
      alter table parted attach partition p2 for values from (10) to (20); create table mother (id int primary key); create table kid (x int) inherits (mother)`)
    await log.watch('parted', 'mother')
    await watched.server.mayRead('parted', 'mother')
    await log.query(
      `insert into parted values (1, 'a'), (11, 'b'); insert into mother values (1); insert into kid values (2, 3)`,
    )
    expect(column(await snapshots.snapshot(await find('parted'), ALL), 'v')).toEqual(['a', 'b'])
    const both = await snapshots.snapshot(await find('mother'), {
      ...ALL,
      orderBy: [{ column: 'id', direction: 'ASC' }],
    })
    expect(column(both, 'id')).toEqual([1, 2])
  })
})

describe('a snapshot', () => {
  const DIRECTIONS: readonly SortDirection[] = [
    'ASC', 'DESC', 'ASC_NULLS_FIRST', 'ASC_NULLS_LAST', 'DESC_NULLS_FIRST', 'DESC_NULLS_LAST',
  ] // biome-ignore format: a list

  it('is in the order of filters for every type, with nulls where requested, then by key', {
    timeout: 120_000,
  }, async () => {
    const sorted = Object.keys(KINDS)
    const of = await table(
      `id int, k text, ${sorted.map((type, i) => `c${i} ${type}`).join(', ')}, primary key (k, id)`,
      'sorted',
    )
    const rows = 60
    const values = sorted.map(type => fc.sample(valueSql(type), rows).map(value => storable(value, version)))
    const lines = Array.from(
      { length: rows },
      (_, i) => `(${i}, '${'cab'[i % 3]}', ${values.map(v => v[i]).join(', ')})`,
    )
    await log.query(`insert into sorted values ${lines.join(', ')}`)
    let count = 0
    for (const one of of.columns) {
      if (one.isArray || (!operatorsOf(one).includes('lt') && one.category !== 'other')) continue
      const { compare } = comparisonOf(one)
      for (const direction of DIRECTIONS) {
        const { rows: found } = await snapshots.snapshot(of, {
          ...ALL,
          orderBy: [{ column: one.name, direction }],
        })
        const nullsFirst = direction.endsWith('FIRST') || direction === 'DESC'
        const byKey = (a: unknown, b: unknown) => (a === b ? 0 : String(a) < String(b) ? -1 : 1)
        const wanted = [...found].sort((a, b) => {
          const [x, y] = [a.key(one.name), b.key(one.name)]
          if (x === null || y === null) {
            if (x !== y) return (x === null) === nullsFirst ? -1 : 1
          } else {
            const order = compare(x, y) * (direction.startsWith('DESC') ? -1 : 1)
            if (order !== 0) return order
          }
          return byKey(a.get('k'), b.get('k')) || Number(a.get('id')) - Number(b.get('id'))
        })
        expect(
          found.map(row => row.get('id')),
          `${one.typeName} ${direction}`,
        ).toEqual(wanted.map(row => row.get('id')))
        expect(found.length).toBe(rows)
        count++
      }
    }
    expect(count).toBeGreaterThan(30 * DIRECTIONS.length)
  })

  it('is the whole table in one order if it is read page by page', async () => {
    const of = await table('id int primary key, g int', 'paged')
    await log.query('insert into paged select i, i % 7 from generate_series(1, 100) i')
    const orderBy = [{ column: 'g', direction: 'DESC' }] as const
    const whole = await snapshots.snapshot(of, { ...ALL, orderBy })
    const pages: unknown[] = []
    for (let offset = 0; offset < 100; offset += 9) {
      pages.push(
        ...column(await snapshots.snapshot(of, { filter: EVERYTHING, orderBy, limit: 9, offset }), 'id'),
      )
    }
    expect(pages).toEqual(column(whole, 'id'))
    expect((await snapshots.snapshot(of, { ...ALL, limit: 0 })).rows).toEqual([])
    expect((await snapshots.snapshot(of, { ...ALL, offset: 2 ** 31 })).rows).toEqual([])
  })

  it('is filtered as changes are', async () => {
    const types = ['text', 'int8', 'public.mood', 'public.citext', 'timestamptz', 'numeric']
    const of = await table(
      `id int primary key, ${types.map((type, i) => `c${i} ${type}`).join(', ')}`,
      'filtered',
    )
    const rows = fc.sample(fc.tuple(...types.map(type => valueSql(type))), 60)
    await log.query(
      `insert into filtered values ${rows.map((row, i) => `(${i}, ${row.map(value => storable(value, version)).join(', ')})`).join(', ')}`,
    )
    const fields = new Map(of.columns.map(one => [one.name, one]))
    const all = await snapshots.snapshot(of, ALL)
    let some = 0
    for (const input of fc.sample(filterOf(types.map((type, i) => [`c${i}`, type] as const)), 60)) {
      const filter = parseFilter(fields, input, { depth: 20 })
      const found = column(await snapshots.snapshot(of, { ...ALL, filter }), 'id')
      expect(found, JSON.stringify(input)).toEqual(
        all.rows.filter(row => toPredicate(filter)(row)).map(row => row.get('id')),
      )
      if (found.length > 0 && found.length < 60) some++
    }
    expect(some).toBeGreaterThan(10)
    await expect(
      snapshots.snapshot(of, { ...ALL, orderBy: [{ column: 'nope', direction: 'ASC' }] }),
    ).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })
})
