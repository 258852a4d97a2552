import { addAggregateField, addAggregateTypes, declareAggregate } from './aggregates/aggregates.js'
import type { Builder } from './builder.js'
import { addChanges, addOperations } from './changes.js'
import { createComparisons } from './comparisons.js'
import { addEnum } from './enums.js'
import { addFilterType, addListFilter, declareFilter } from './filter-type.js'
import { addLive, type QueryRef } from './live.js'
import { type EnumNames, enumKey } from './names/enum-names.js'
import type { Names } from './names/names.js'
import { addDirections, addOrderType } from './order-by.js'
import { createPlanner } from './planning/planner.js'
import { addKeyType, addRowType, declareRow } from './row-type.js'
import { isScalarName, type ScalarName } from './scalars.js'
import { addSnapshots } from './snapshots.js'
import { type Building, type SchemaLimits, type TypedTable, typeTable } from './table-schema.js'

/** Sorted by their names in GraphQL. */
export function typeTables({ tables, enums }: Names): TypedTable[] {
  const types = new Map(enums.map(({ schema, name, type }) => [enumKey(schema, name), type]))
  return tables.map(table => typeTable(table, types)).sort((a, b) => (a.queryField < b.queryField ? -1 : 1))
}

/** The scalars that the tables' columns and aggregates have. */
export function scalarsOf(tables: readonly TypedTable[]): ScalarName[] {
  const names = tables.flatMap(({ columns, aggregates }) => [
    'BigInt', // counts
    ...columns.map(({ type }) => type.item.name),
    ...[...aggregates.functions.values()].flat().map(({ type }) => type.item.name),
  ])
  return names.filter(isScalarName)
}

/** Adds all fields and types of tables. */
export function addTables(
  builder: Builder,
  query: QueryRef,
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
  const byRelid = new Map(tables.map(table => [table.table.relid, table]))
  const planner = createPlanner(byRelid, limits)
  const livePlanner = createPlanner(byRelid, limits, true)
  const inLists = new Set(
    tables.flatMap(({ relations }) => relations.filter(({ isMany }) => isMany).map(({ to }) => to)),
  )
  // Declared before they are implemented: relations lead from any table to any other.
  const declared = new Map(
    tables.map(table => {
      const filter = declareFilter(building, table)
      const parts = {
        table,
        row: declareRow(building, table),
        filter,
        listFilter: inLists.has(table.table.relid) ? addListFilter(building, table, filter) : filter,
        order: addOrderType(building, table, direction),
        aggregate: declareAggregate(building, table),
      }
      return [table.table.relid, parts] as const
    }),
  )
  const partsOf = (relid: string) => declared.get(relid) as NonNullable<ReturnType<typeof declared.get>>
  addLive(building, query, livePlanner)
  for (const table of tables) {
    const { row, filter, order, aggregate } = partsOf(table.table.relid)
    addRowType(building, table, row, partsOf)
    addAggregateTypes(building, table, aggregate)
    addFilterType(building, table, filter, comparisonOf, partsOf)
    addSnapshots(building, table, { row, filter, order, planner, livePlanner })
    addAggregateField(building, table, { aggregate, filter, planner, livePlanner })
    addChanges(building, table, { row, key: addKeyType(building, table), filter, operation, tables: byRelid })
  }
}
