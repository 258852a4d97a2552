import { EVERYTHING, type Filter, type FilterLimits, parseFilter } from '../src/filters/index.js'
import type { Column } from '../src/postgres/types.js'
import type { ComparisonRef } from './comparisons.js'
import { describeColumn, tableName, text } from './describe.js'
import type { Building, TypedColumn, TypedTable } from './table-schema.js'

export type FilterRef = ReturnType<typeof addFilterType>

/** `PeopleFilter`. */
export function addFilterType(
  { builder }: Building,
  { table, filterType, columns }: TypedTable,
  comparisonOf: (column: TypedColumn) => ComparisonRef,
) {
  const ref = builder.inputRef<Record<string, unknown>>(filterType)
  builder.inputType(ref, {
    description: text(
      `Conditions on the rows of table ${tableName(table)}. All must hold, with SQL's logic of true, false and unknown; {} matches every row.`,
    ),
    fields: t => ({
      and: t.field({ type: [ref], description: 'All of these hold; an empty list matches every row.' }),
      or: t.field({ type: [ref], description: 'One of these holds; an empty list matches no row.' }),
      not: t.field({
        type: ref,
        description:
          'This does not hold. If it is unknown, its negation is unknown, too, and the row does not match.',
      }),
      ...Object.fromEntries(
        columns.map(column => [
          column.field,
          t.field({ type: comparisonOf(column), description: describeColumn(column.column) }),
        ]),
      ),
    }),
  })
  return ref
}

/** Parses `where`. @throws ListenqlError FILTER_INVALID, LIMIT_EXCEEDED, with GraphQL names in the messages */
export function createFilterReader(
  { columns }: TypedTable,
  limits?: FilterLimits,
): (where: unknown) => Filter {
  const byField = new Map<string, Column>(columns.map(({ field, column }) => [field, column]))
  return where => (where === undefined || where === null ? EVERYTHING : parseFilter(byField, where, limits))
}
