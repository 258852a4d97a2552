import type { Column, TypeCategory } from '../src/postgres/types.js'
import { enumKey } from './names/enum-names.js'
import type { ScalarName } from './scalars.js'

export type BuiltInName = 'Boolean' | 'Float' | 'Int' | 'String'

/** The GraphQL type of a value of a column, or of an item of an array. */
export type ItemType =
  | { readonly kind: 'scalar'; readonly name: ScalarName | BuiltInName }
  | { readonly kind: 'enum'; readonly name: string }

export interface ColumnType {
  readonly item: ItemType
  readonly isList: boolean
  readonly nullable: boolean
}

const SCALARS: Readonly<Record<Exclude<TypeCategory, 'enum'>, ScalarName | BuiltInName>> = {
  bool: 'Boolean',
  bpchar: 'String',
  bytea: 'Bytes',
  citext: 'String',
  composite: 'String',
  date: 'Date',
  float4: 'Float',
  float8: 'Float',
  int2: 'Int',
  int4: 'Int',
  int8: 'BigInt',
  interval: 'Duration',
  json: 'JSON',
  numeric: 'Decimal',
  other: 'String',
  text: 'String',
  time: 'LocalTime',
  timestamp: 'LocalDateTime',
  timestamptz: 'DateTime',
  timetz: 'Time',
  uuid: 'UUID',
}

/** The GraphQL names of the enums of a schema, by `enumKey`. */
export type EnumTypes = ReadonlyMap<string, string>

/** The type of a column. An enum without labels is a String, since GraphQL has no such enums. */
export function columnType(column: Column, enums: EnumTypes): ColumnType {
  return { item: itemType(column, enums), isList: column.isArray, nullable: isNullable(column) }
}

/** As GraphQL writes it: `[Int]!`. */
export function typeText({ item, isList, nullable }: ColumnType): string {
  return `${isList ? `[${item.name}]` : item.name}${nullable ? '' : '!'}`
}

function itemType({ category, baseType, enumSchema }: Column, enums: EnumTypes): ItemType {
  if (category !== 'enum') return { kind: 'scalar', name: SCALARS[category] }
  const name = enums.get(enumKey(enumSchema, baseType))
  return name === undefined ? { kind: 'scalar', name: 'String' } : { kind: 'enum', name }
}

/**
 * Floats are nullable even if the column is NOT NULL: NaN and Infinity are null in GraphQL, and in a non-nullable field they would
 * make the whole row null, which tells a client that the row is gone. So is JSON: the JSON value null is a null of GraphQL, too.
 */
function isNullable({ notNull, category, isArray }: Column): boolean {
  const canBeNull = category === 'float4' || category === 'float8' || category === 'json'
  return !notNull || (canBeNull && !isArray)
}
