import pg from 'pg'
import type { Column, TypeCategory } from '../postgres/types.js'
import { type DatabaseText, likeOfBytes, UTF8_TEXT } from './database-text.js'
import type { ComparisonOperator, Filter, Operand } from './filter.js'
import { type Link, linkSql } from './link.js'

const SYMBOLS: Readonly<Record<ComparisonOperator, string>> = {
  eq: '=',
  neq: '<>',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
}

/** The type that a parameter is cast to, where it differs from the column's. */
const PARAMETER_TYPES: Partial<Record<TypeCategory, string>> = { citext: 'text', other: 'text' }

/**
 * The condition for WHERE. Values are appended to `parameters`, as texts and lists of texts; the SQL itself contains none of
 * them. Run it with search_path pg_catalog, and, for columns of types that are compared as text (category `other`), with the
 * settings of row images.
 * @param table name or alias of the table, as SQL (already quoted), if columns need it.
 * Conditions on linked rows need it.
 * @param text how the database stores texts. Default: as UTF8
 * @param tableSql the linked table of a condition, as SQL. Default: by its schema and name
 */
export function toSql(
  filter: Filter,
  parameters: unknown[],
  table?: string,
  text: DatabaseText = UTF8_TEXT,
  tableSql: (link: Link) => string = qualified,
): string {
  const prefix = table === undefined ? '' : `${table}.`
  let linked = 0
  function name(column: Column): string {
    return prefix + pg.escapeIdentifier(column.name)
  }
  function write(part: Filter): string {
    switch (part.kind) {
      case 'and':
        return part.filters.length === 0 ? 'true' : `(${part.filters.map(write).join(' and ')})`
      case 'or':
        return part.filters.length === 0 ? 'false' : `(${part.filters.map(write).join(' or ')})`
      case 'not':
        return `(not ${write(part.filter)})`
      case 'related': {
        if (table === undefined)
          throw new TypeError('a condition on linked rows needs the alias of its table')
        const other = `${table}_${++linked}`
        const inner = toSql(part.filter, parameters, other, text, tableSql)
        return `(${part.negated ? 'not ' : ''}exists (select from ${tableSql(part.link)} ${other} where ${linkSql(part.link, table, other)} and ${inner}))`
      }
      case 'isNull':
        return `(${part.isNull ? '' : 'not '}${isNull(part.column, name(part.column))})`
      case 'like':
        return like(part, name(part.column), parameters, text)
      case 'compare':
        return compare(part.column, name(part.column), SYMBOLS[part.operator], part.operand, parameters, text)
      case 'in':
        return compare(
          part.column,
          name(part.column),
          part.negated ? '<>' : '=',
          part.operands,
          parameters,
          text,
        )
    }
  }
  return write(filter)
}

function qualified({ schema, table }: Link): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`
}

/**
 * `is not distinct from null` tests whether a composite is NULL, not whether all its fields are. JSON's null counts as NULL,
 * since both look the same in an image, and in a result.
 */
function isNull({ category, isArray }: Column, column: string): string {
  if (category !== 'json' || isArray) return `${column} is not distinct from null`
  return `coalesce(pg_catalog.json_typeof(pg_catalog.to_json(${column})) operator(pg_catalog.=) 'null', true)`
}

function compare(
  column: Column,
  name: string,
  symbol: string,
  operand: Operand | readonly Operand[],
  parameters: unknown[],
  text: DatabaseText,
): string {
  const operands = 'text' in operand ? [operand] : operand
  const endless = ENDLESS[column.category] ? operands.filter(one => one.text in RANKS) : []
  if (endless.length === 0) return compareValues(column, name, symbol, operand, parameters, text)
  const finite = operands.filter(one => !(one.text in RANKS))
  const ranks = endless.map(one => `${rankOf(name)} ${operator(symbol)} ${RANKS[one.text]}`)
  const parts =
    finite.length > 0 ? [compareValues(column, name, symbol, finite, parameters, text), ...ranks] : ranks
  return `(${parts.join(symbol === '=' ? ' or ' : ' and ')})`
}

/** Types with infinite values only from some version of Postgres on (numeric 14, interval 17): older ones refuse the operand. */
const ENDLESS: Partial<Record<TypeCategory, true>> = { numeric: true, interval: true }

/** Ranks of infinite values, by the operand's text; finite values have rank 0, and NaN is above all. */
const RANKS: Readonly<Record<string, number>> = { Infinity: 1, infinity: 1, '-Infinity': -1, '-infinity': -1 }

/** By its text, since a constant would have to be valid in the type. NULL stays NULL. */
function rankOf(name: string): string {
  return `(case pg_catalog.lower(${name}::pg_catalog.text) when 'nan' then 2 when 'infinity' then 1 when '-infinity' then -1 else case when ${name} is not null then 0 end end)`
}

function compareValues(
  { category, enumType }: Column,
  column: string,
  symbol: string,
  operand: Operand | readonly Operand[],
  parameters: unknown[],
  text: DatabaseText,
): string {
  const texts = 'text' in operand ? [operand.text] : operand.map(one => one.text)
  if (isText(category) && (!text.sortsByCodePoint || texts.some(text.lacks)))
    return compareBytes(category, column, symbol, operand, parameters, text)
  const list = 'text' in operand ? undefined : operand.map(({ text }) => text)
  parameters.push('text' in operand ? operand.text : list)
  // Postgres infers the type of an enum from the column.
  const type = PARAMETER_TYPES[category] ?? category
  const cast = category === 'enum' ? '' : `::pg_catalog.${type}${list ? '[]' : ''}`
  const parameter = `$${parameters.length}${cast}`
  const right = list ? `${symbol === '=' ? 'any' : 'all'} (${parameter})` : parameter
  const exact = `${comparable(category, column, enumType)} ${operator(symbol)} ${right}`
  // Equal bytes are equal under every collation, so this condition can use an index that is not COLLATE "C".
  if (symbol === '=' && (category === 'text' || category === 'bpchar'))
    return `(${column} ${operator('=')} ${right} and ${exact})`
  return `(${exact})`
}

/** Compares as UTF-8, whose bytes sort by code point and can hold every text, if the database's own encoding does not. */
function compareBytes(
  category: TypeCategory,
  column: string,
  symbol: string,
  operand: Operand | readonly Operand[],
  parameters: unknown[],
  text: DatabaseText,
): string {
  const isList = !('text' in operand)
  const texts = isList ? operand.map(one => one.text) : [operand.text]
  const asBytes = (one: string) => `\\x${Buffer.from(one).toString('hex')}`
  const right = (values: unknown, type: string) => {
    parameters.push(values)
    const parameter = `$${parameters.length}::pg_catalog.${type}${isList ? '[]' : ''}`
    return isList ? `${symbol === '=' ? 'any' : 'all'} (${parameter})` : parameter
  }
  const bytes = texts.map(asBytes)
  const exact = `${utf8(category, column)} ${operator(symbol)} ${right(isList ? bytes : bytes[0], 'bytea')}`
  const known = texts.filter(one => !text.lacks(one))
  // Allows an index, as above.
  if (symbol !== '=' || known.length === 0 || (category !== 'text' && category !== 'bpchar'))
    return `(${exact})`
  return `(${column} ${operator('=')} ${right(isList ? known : known[0], category)} and ${exact})`
}

/** Qualified: snapshots under row-level security are read under the search_path of the viewer's role. */
function operator(symbol: string): string {
  return `operator(pg_catalog.${symbol})`
}

function isText(category: TypeCategory): boolean {
  return category === 'text' || category === 'bpchar' || category === 'citext' || category === 'other'
}

function utf8(category: TypeCategory, column: string): string {
  return `pg_catalog.convert_to(${comparable(category, category === 'bpchar' ? `${column}::pg_catalog.text` : column, undefined)}, 'UTF8')`
}

/**
 * The ORDER BY expression of a column, so that rows sort as its values compare. `name` is the column as SQL.
 * @param text how the database stores texts. Default: as UTF8
 */
export function sortKey(
  { category, enumType, isArray }: Column,
  name: string,
  text: DatabaseText = UTF8_TEXT,
): string {
  if (isArray) return name
  return isText(category) && !text.sortsByCodePoint
    ? utf8(category, name)
    : comparable(category, name, enumType)
}

/** The expression by which a column is compared. */
function comparable(category: TypeCategory, column: string, enumType: string | undefined): string {
  switch (category) {
    case 'text':
      return `${column}::pg_catalog.text collate "C"`
    case 'bpchar':
      return `${column} collate "C"`
    case 'citext':
      return `pg_catalog.lower(${column}::pg_catalog.text collate "C")`
    case 'enum':
      return enumType === undefined ? column : `${column}::${enumType}`
    case 'other':
      // The type's output function, which also made the image; a cast to text may give another text (inet), or run user code.
      return `(case when ${column} is distinct from null then pg_catalog.concat(${column}) end) collate "C"`
    default:
      return column
  }
}

function like(
  { column: { category }, pattern, ignoreCase }: Filter & { kind: 'like' },
  column: string,
  parameters: unknown[],
  database: DatabaseText,
): string {
  const fold = ignoreCase || category === 'citext'
  // A cast to text would strip the trailing spaces of char(n), which count in LIKE.
  const text = category === 'bpchar' ? column : `${column}::pg_catalog.text`
  // No row can contain a character that the encoding lacks.
  if (database.lacks(pattern)) return `(case when ${column} is distinct from null then false end)`
  const bytes = database.isBytes ? likeOfBytes(pattern) : undefined
  if (bytes !== undefined) {
    parameters.push(bytes)
    const parameter = `$${parameters.length}::pg_catalog.text`
    return `(${text} collate "C" ${operator(fold ? '~*' : '~')} ${parameter})`
  }
  parameters.push(pattern)
  const parameter = `$${parameters.length}::pg_catalog.text`
  return `(${text} collate "C" ${operator(fold ? '~~*' : '~~')} ${parameter})`
}
