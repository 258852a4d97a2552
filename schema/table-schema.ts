import type { FilterLimits } from '../src/filters/index.js'
import { type TypedAggregates, typeAggregates } from './aggregates/aggregate-fields.js'
import type { Builder } from './builder.js'
import { type ColumnType, columnType, type EnumTypes, type ItemType } from './column-type.js'
import type { EnumRef } from './enums.js'
import type { NamedTable } from './names/names.js'
import type { NamedRelation } from './names/relation-names.js'
import type { NamedColumn } from './names/table-names.js'

/** A column with its GraphQL name and type. */
export interface TypedColumn extends NamedColumn {
  readonly type: ColumnType
}

/** A relation whose other table is in the schema. */
export type TypedRelation = NamedRelation

/** A table with the names and types of all its columns. */
export interface TypedTable extends NamedTable {
  readonly aggregates: TypedAggregates
  readonly columns: readonly TypedColumn[]
  /** The columns of the primary key in its order; empty if there is no key. */
  readonly keyColumns: readonly TypedColumn[]
}

/** Limits on queries; see the options of the same meaning. */
export interface SchemaLimits {
  readonly filter?: FilterLimits
  /** Most rows of a snapshot. Default 10,000. */
  readonly rows?: number
  /** Most rows of one list of a live query. Default 1,000. */
  readonly liveRows?: number
  /** Most rows of one list of linked rows, and most groups of one aggregate. Default 1,000. */
  readonly relatedRows?: number
  /** How deep relations may be nested. Default 6. */
  readonly relationDepth?: number
  /** Most relations and conditions on relations of one field. Default 20. */
  readonly relations?: number
}

/** Shared by the parts of a schema while it is built. */
export interface Building {
  readonly builder: Builder
  readonly limits: SchemaLimits
  /** By their names in GraphQL. */
  readonly enums: ReadonlyMap<string, EnumRef>
}

export function typeTable(names: NamedTable, enums: EnumTypes): TypedTable {
  const columns = names.columns.map(named => ({ ...named, type: columnType(named.column, enums) }))
  const keyColumns = names.table.key.flatMap(name => columns.find(({ column }) => column.name === name) ?? [])
  return { ...names, columns, keyColumns, aggregates: typeAggregates(names.columns, enums) }
}

/** The reference of a type for Pothos. */
export function typeParam({ enums }: Building, item: ItemType) {
  if (item.kind === 'scalar') return item.name
  const ref = enums.get(item.name)
  if (!ref) throw new Error(`enum ${item.name} is not in the schema`)
  return ref
}
