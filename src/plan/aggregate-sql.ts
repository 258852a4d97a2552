import pg from 'pg'
import type { ImageKind } from '../catalog/image-sql.js'
import { type DatabaseText, operatorsOf, sortKey } from '../filters/index.js'
import type { Column, TypeCategory } from '../postgres/types.js'
import type { AggregateFunction, Measure } from './plan.js'

/** Oids of the types that sums and averages have (src/include/catalog/pg_type.dat). */
const OIDS = { float4: 700, float8: 701, int8: 20, interval: 1186, numeric: 1700 } as const

type ResultType = keyof typeof OIDS

/** How results become part of an image, for types that a table may not have. */
export const RESULT_KINDS: readonly (readonly [number, ImageKind])[] = Object.values(OIDS).map(oid => [
  oid,
  'plain',
])

/** What Postgres's functions return (https://www.postgresql.org/docs/current/functions-aggregate.html). */
const RESULTS: Readonly<Record<'avg' | 'sum', Partial<Record<TypeCategory, ResultType>>>> = {
  avg: { float4: 'float8', float8: 'float8', int2: 'numeric', int4: 'numeric', int8: 'numeric', interval: 'interval', numeric: 'numeric' },
  sum: { float4: 'float4', float8: 'float8', int2: 'int8', int4: 'int8', int8: 'numeric', interval: 'interval', numeric: 'numeric' },
} // biome-ignore format: a table

/** The types whose least and greatest value Postgres finds on all versions, in the order in which filters compare. */
const ORDERED: ReadonlySet<TypeCategory> = new Set([
  ...(['bpchar', 'date', 'enum', 'float4', 'float8', 'int2', 'int4', 'int8', 'interval'] as const),
  ...(['numeric', 'text', 'time', 'timestamp', 'timestamptz', 'timetz'] as const),
])

/** Types whose equal values may have different texts that cannot be made one: `24:00:00` and `1 day`. */
const NOT_GROUPED: ReadonlySet<TypeCategory> = new Set(['citext', 'interval', 'timetz'])

/** The result of a function over a column; undefined if the function does not take the column's type. @param name of the result */
export function resultOf(
  of: Exclude<AggregateFunction, 'count'>,
  column: Column,
  name: string,
): Column | undefined {
  const { category, isArray } = column
  if (isArray) return undefined
  if (of === 'min' || of === 'max')
    return ORDERED.has(category) ? { ...column, name, notNull: false } : undefined
  const type = RESULTS[of][category]
  return type && builtIn(name, type, false)
}

/** The result of counting rows. */
export function countResult(name: string): Column {
  return builtIn(name, 'int8', true)
}

function builtIn(name: string, type: ResultType, notNull: boolean): Column {
  return {
    name,
    category: type,
    baseType: type,
    typeName: type,
    typeOid: OIDS[type],
    isArray: false,
    notNull,
  }
}

/** Whether rows can be grouped by a column: each group has one value, with one text. */
export function isGroupable(column: Column): boolean {
  // Without a length, texts of `bpchar` are equal that differ in spaces at their ends.
  return (
    operatorsOf(column).includes('lt') && !NOT_GROUPED.has(column.category) && column.typeName !== 'bpchar'
  )
}

/** A measure as SQL. @param row the alias of the rows */
export function measureSql({ function: of, column }: Measure, row: string): string {
  if (!column) return 'pg_catalog.count(*)'
  const name = `${row}.${pg.escapeIdentifier(column.name)}`
  return `pg_catalog.${of}(${of === 'count' ? name : operand(column, name)})`
}

/** A column as the function takes it: domains as their base type, texts by code point. */
function operand({ category, enumType }: Column, name: string): string {
  switch (category) {
    case 'text':
      return `${name}::pg_catalog.text collate "C"`
    case 'bpchar':
      return `${name}::pg_catalog.bpchar collate "C"`
    case 'enum':
      return enumType === undefined ? name : `${name}::${enumType}`
    default:
      return `${name}::pg_catalog.${category}`
  }
}

/** The value of a group, and what groups are sorted by, as SQL. Equal values have one text: 1.50 and 1.5 are 1.5, -0 and 0 are 0. */
export function groupKey(
  column: Column,
  name: string,
  text: DatabaseText | undefined,
): { key: string; order: string } {
  const { category } = column
  switch (category) {
    case 'numeric':
      return same(`pg_catalog.trim_scale(${name})`)
    case 'float4':
    case 'float8':
      return same(`(${name} operator(pg_catalog.+) 0::pg_catalog.${category})`)
    case 'text':
      return { key: `(${name}::pg_catalog.text collate "C")`, order: sortKey(column, name, text) }
    case 'bpchar':
      return { key: `(${name} collate "C")`, order: sortKey(column, name, text) }
    default:
      return same(name)
  }
}

function same(key: string) {
  return { key, order: key }
}
