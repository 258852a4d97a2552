import type { Builder } from './builder.js'
import { addChanges, addOperations } from './changes.js'
import { createComparisons } from './comparisons.js'
import { addEnum } from './enums.js'
import { addFilterType } from './filter-type.js'
import { type EnumNames, enumKey } from './names/enum-names.js'
import type { Names } from './names/names.js'
import { addDirections } from './order-by.js'
import { addKeyType, addRowType } from './row-type.js'
import { isScalarName, type ScalarName } from './scalars.js'
import { addSnapshots } from './snapshots.js'
import { type Building, type SchemaLimits, type TypedTable, typeTable } from './table-schema.js'

/** Sorted by their names in GraphQL. */
export function typeTables({ tables, enums }: Names): TypedTable[] {
  const types = new Map(enums.map(({ schema, name, type }) => [enumKey(schema, name), type]))
  return tables.map(table => typeTable(table, types)).sort((a, b) => (a.queryField < b.queryField ? -1 : 1))
}

/** The scalars that the tables' columns have. */
export function scalarsOf(tables: readonly TypedTable[]): ScalarName[] {
  return tables.flatMap(({ columns }) => columns.map(({ type }) => type.item.name)).filter(isScalarName)
}

/** Adds all fields and types of tables. */
export function addTables(
  builder: Builder,
  tables: readonly TypedTable[],
  enums: readonly EnumNames[],
  limits: SchemaLimits,
): void {
  if (tables.length === 0) return
  const building: Building = {
    builder,
    limits,
    enums: new Map(enums.map(names => [names.type, addEnum(builder, names)])),
  }
  const operation = addOperations(builder)
  const direction = addDirections(builder)
  const comparisonOf = createComparisons(building)
  for (const table of tables) {
    const row = addRowType(building, table)
    const key = addKeyType(building, table)
    const filter = addFilterType(building, table, comparisonOf)
    addSnapshots(building, table, { row, filter, direction })
    addChanges(building, table, { row, key, filter, operation })
  }
}
