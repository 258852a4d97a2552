import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createImageReader,
  type Filter,
  indexKeys,
  type Key,
  parseFilter,
  type RowImage,
  toPredicate,
  toSql,
} from '../../src/filters/index.js'
import { type Column, classifyType, type PgType, typesQuery } from '../../src/postgres/types.js'
import { filterOf, KINDS, storable, valueSql } from '../support/filter-values.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

/** As the triggers pin them, plus DateStyle, which affects ranges. */
const PINNED = `set search_path = pg_catalog; set timezone = 'UTC'; set extra_float_digits = 1; set datestyle = 'ISO, MDY';
  set bytea_output = 'hex'; set intervalstyle = 'iso_8601'`

const ROWS = 60
const FILTERS = 40
const TABLES = 250

let database: TestDatabase
let client: pg.Client
/** The major version of Postgres, such as 13. */
let version: number

beforeAll(async () => {
  database = await createTestDatabase()
  client = new pg.Client({ connectionString: database.adminUrl })
  await client.connect()
  await client.query(`
    create extension citext schema public;
    create type public.mood as enum ('sad', 'ok', 'Ärger', 'happy', 'a"b\\c,{}');
    alter type public.mood add value 'afterthought' before 'ok';
    create domain public.small as int4 check (value < 2000000000);
    create domain public.label as text;
    create domain public.code as char(5);
    create domain public.feeling as public.mood;
    create domain public.exact as public.small;
    create type public.pair as (a int, b text);
    create collation public.human (provider = icu, locale = 'en-US');
    create collation public.careless (provider = icu, locale = 'und-u-ks-level1', deterministic = false);`)
  await client.query(PINNED)
  const { rows } = await client.query<{ version: number }>(
    `select current_setting('server_version_num')::int / 10000 as version`,
  )
  version = rows[0]?.version ?? 0
})
afterAll(async () => {
  await client.end()
  await database.close()
})

/** Creates a table, fills it, and reads its description from the catalogue. */
async function createTable(types: readonly string[], rows: readonly (readonly (string | null)[])[]) {
  await client.query('drop table if exists public.t')
  const names = types.map((_, i) => `c"${i} é`)
  const columns = types.map((type, i) => `${pg.escapeIdentifier(names[i] as string)} ${type}`).join(', ')
  await client.query(`create table public.t (id int primary key, ${columns})`)
  const values = rows
    .map((row, id) => `(${id}, ${row.map(value => storable(value, version)).join(', ')})`)
    .join(',\n')
  await client.query(`insert into public.t values ${values}`)
  return await describeTable('public.t')
}

async function describeTable(table: string): Promise<Column[]> {
  const { rows: attributes } = await client.query<{
    name: string
    type: string
    oid: number
    notNull: boolean
  }>(
    `select attname::text as name, format_type(atttypid, atttypmod) as type, atttypid::int8::float8 as oid,
       attnotnull as "notNull" from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [table],
  )
  const { rows } = await client.query<PgType>(typesQuery, [attributes.map(({ oid }) => oid)])
  const types = new Map(rows.map(type => [type.oid, type]))
  return attributes.map(({ name, type, oid, notNull }) => ({
    name,
    typeName: type,
    typeOid: oid,
    notNull,
    ...classifyType(oid, types),
  }))
}

async function readImages(columns: readonly Column[]): Promise<{ images: RowImage[]; texts: string[] }> {
  const { rows } = await client.query<{ image: string }>(
    'select to_json(t)::text as image from public.t order by id',
  )
  const read = createImageReader(columns)
  const texts = rows.map(({ image }) => image)
  return { images: texts.map(read), texts }
}

/** The ids that each filter selects, in a single round trip. */
async function selectAll(filters: readonly Filter[]): Promise<number[][]> {
  const parameters: unknown[] = []
  const parts = filters.map(
    filter => `array(select id from public.t where ${toSql(filter, parameters, 't')} order by id)`,
  )
  const { rows } = await client.query({
    text: `select ${parts.join(',\n')}`,
    values: parameters,
    rowMode: 'array',
  })
  return rows[0] as number[][]
}

const kind = fc.constantFrom(...Object.keys(KINDS))

const scene = fc.array(kind, { minLength: 1, maxLength: 4 }).chain(types =>
  fc.record({
    types: fc.constant(types),
    rows: fc.array(fc.tuple(...types.map(type => valueSql(type))), { minLength: ROWS, maxLength: ROWS }),
    filters: fc.array(filterOf(types.map((type, i) => [`f${i}`, type] as const)), {
      minLength: FILTERS,
      maxLength: FILTERS,
    }),
  }),
)

describe('SQL and the server', () => {
  it('select the same rows for any types, rows and filters', { timeout: 120_000 }, async () => {
    const selected = { none: 0, some: 0, all: 0, byIndex: 0 }
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(scene, async ({ types, rows, filters: inputs }) => {
        const columns = await createTable(types, rows)
        const fields = new Map(columns.slice(1).map((column, i) => [`f${i}`, column]))
        const { images, texts } = await readImages(columns)
        const filters = inputs.map(input => parseFilter(fields, input, { depth: 20 }))
        const bySql = await selectAll(filters)
        for (const [i, filter] of filters.entries()) {
          const matches = toPredicate(filter)
          const here = images.flatMap((row, id) => (matches(row) ? [id] : []))
          const ids = bySql[i] as number[]
          const odd = [...here, ...ids].find(id => here.includes(id) !== ids.includes(id)) ?? -1
          expect(here, `${types} ${JSON.stringify(inputs[i])}\n${texts[odd]}\n${toSql(filter, [])}`).toEqual(
            ids,
          )
          for (const { column, keys } of indexKeys(filter)) {
            selected.byIndex++
            for (const id of ids) expect(keys.has(images[id]?.key(column) as Key), column).toBe(true)
          }
          selected[ids.length === 0 ? 'none' : ids.length === images.length ? 'all' : 'some']++
        }
        for (const type of types) seen.add(type)
      }),
      { numRuns: TABLES * Number(process.env.LISTENQL_TEST_FILTER_ROUNDS ?? 1), endOnFailure: true },
    )
    // Filters that select no rows or all rows would prove little.
    expect(selected.some).toBeGreaterThan(selected.none / 2)
    expect(selected.byIndex).toBeGreaterThan(20)
    expect(seen.size).toBeGreaterThan(20)
  })

  it('agree about each type on its own', { timeout: 120_000 }, async () => {
    for (const type of Object.keys(KINDS)) {
      const [rows = []] = fc.sample(fc.array(fc.tuple(valueSql(type)), { minLength: 150, maxLength: 150 }), 1)
      const inputs = fc.sample(filterOf([['f0', type]]), 80)
      const columns = await createTable([type], rows)
      const fields = new Map([['f0', columns[1] as Column]])
      const { images, texts } = await readImages(columns)
      const filters = inputs.map(input => parseFilter(fields, input, { depth: 20 }))
      const bySql = await selectAll(filters)
      for (const [i, filter] of filters.entries()) {
        const matches = toPredicate(filter)
        const here = images.flatMap((row, id) => (matches(row) ? [id] : []))
        const ids = bySql[i] as number[]
        const odd = [...here, ...ids].find(id => here.includes(id) !== ids.includes(id)) ?? -1
        expect(here, `${type} ${JSON.stringify(inputs[i])}\n${texts[odd]}`).toEqual(ids)
      }
    }
  })

  // Long texts take other paths through the matcher than short ones; they consist of pieces that match nearly
  // everywhere.
  it('agree about LIKE and ILIKE of long texts', { timeout: 120_000 }, async () => {
    const unit = fc.constantFrom('a', 'ab', 'Aab', 'aa', 'a🐘', 'äa', '%a', '_', '\\')
    const value = fc
      .tuple(fc.array(unit, { maxLength: 4 }), fc.nat(60))
      .map(([units, times]) => units.join('').repeat(times))
    const piece = fc
      .tuple(
        fc.array(fc.constantFrom('a', 'a', 'b', 'A', '🐘', 'ä', '_', '_', '\\_', '\\%', '\\\\'), {
          maxLength: 5,
        }),
        fc.nat(25),
      )
      .map(([parts, times]) => parts.join('').repeat(times))
    const patterns = fc.array(piece, { minLength: 1, maxLength: 4 }).map(pieces => pieces.join('%'))
    const found = { true: 0, false: 0 }
    for (let round = 0; round < 20; round++) {
      const [values = []] = fc.sample(fc.array(value, { minLength: 30, maxLength: 30 }), 1)
      const columns = await createTable(
        ['text'],
        values.map(each => [pg.escapeLiteral(each)]),
      )
      const fields = new Map([['f0', columns[1] as Column]])
      const { images } = await readImages(columns)
      // Half of the patterns are derived from a value, so that there are matches.
      const asked = fc.sample(patterns, 30).map((pattern, i) => {
        if (i % 2 === 0) return pattern
        const characters = [...(values[i] ?? '')].map((each, at) =>
          at % 7 === 3 ? '_' : '%_\\'.includes(each) ? `\\${each}` : each,
        )
        return `%${characters.slice(at(i, characters), characters.length - (i % 4)).join('')}%`
      })
      const filters = asked.flatMap(pattern => [
        parseFilter(fields, { f0: { like: pattern } }),
        parseFilter(fields, { f0: { ilike: pattern } }),
      ])
      const bySql = await selectAll(filters)
      for (const [i, filter] of filters.entries()) {
        const matches = toPredicate(filter)
        const here = images.flatMap((row, id) => (matches(row) ? [id] : []))
        expect(here, JSON.stringify([asked[i >> 1], values])).toEqual(bySql[i])
        found[here.length > 0 ? 'true' : 'false']++
      }
    }
    expect(Math.min(found.true, found.false)).toBeGreaterThan(100)
  })

  it.each([
    ['numeric', ['1', '-1.5', 'NaN', 'Infinity', '-Infinity'], ['Infinity', '-Infinity', 'NaN', '0']],
    ['interval', ['1 day', '-1 mon', 'infinity', '-infinity'], ['infinity', '-infinity', 'PT0S']],
  ])('agree about infinite values of %s, even if this Postgres has none', async (type, values, operands) => {
    const columns = await createTable([type], [
      ...values.map(value => [`'${value}'::${type}`]),
      [null],
    ] as const)
    const fields = new Map([['f0', columns[1] as Column]])
    const { images } = await readImages(columns)
    const inputs = [
      ...['eq', 'neq', 'gt', 'gte', 'lt', 'lte'].flatMap(operator =>
        operands.map(operand => ({ f0: { [operator]: operand } })),
      ),
      ...['in', 'notIn'].flatMap(operator =>
        operands.map((_, i) => ({ f0: { [operator]: operands.slice(0, i + 1) } })),
      ),
    ]
    const both = inputs.flatMap(input => [input, { not: input }])
    const filters = both.map(input => parseFilter(fields, input))
    const bySql = await selectAll(filters)
    for (const [i, filter] of filters.entries()) {
      const matches = toPredicate(filter)
      const here = images.flatMap((row, id) => (matches(row) ? [id] : []))
      expect(here, JSON.stringify(both[i])).toEqual(bySql[i])
    }
  })
})

function at(i: number, characters: readonly string[]): number {
  return Math.min(i, Math.floor(characters.length / 2))
}
