import { operatorsOf } from '../src/filters/index.js'
import { LimitExceeded } from '../src/lib/limits/limit-exceeded.js'
import type { RowsNode, SortDirection } from '../src/plan/plan.js'
import type { Builder } from './builder.js'
import { describeColumn, tableName, text } from './describe.js'
import type { Building, TypedColumn, TypedTable } from './table-schema.js'

const DIRECTIONS: Readonly<Record<SortDirection, string>> = {
  ASC: 'Smallest first, nulls last.',
  DESC: 'Greatest first, nulls first.',
  ASC_NULLS_FIRST: 'Nulls, then smallest first.',
  ASC_NULLS_LAST: 'Smallest first, then nulls.',
  DESC_NULLS_FIRST: 'Nulls, then greatest first.',
  DESC_NULLS_LAST: 'Greatest first, then nulls.',
}

export type DirectionRef = ReturnType<typeof addDirections>
export type OrderRef = NonNullable<ReturnType<typeof addOrderType>>

export function addDirections(builder: Builder) {
  const values = Object.entries(DIRECTIONS).map(([name, description]) => [name, { description }])
  return builder.enumType('OrderDirection', {
    description: 'The direction in which rows are sorted by a column.',
    values: Object.fromEntries(values) as Record<SortDirection, { description: string }>,
  })
}

/**
 * `PeopleOrderBy`: exactly one column and its direction, since the fields of an object have no order. Undefined if no column
 * can be sorted by.
 */
export function addOrderType({ builder }: Building, named: TypedTable, direction: DirectionRef) {
  const columns = named.columns.filter(isOrdered)
  if (columns.length === 0) return
  return builder.inputType(named.orderType, {
    isOneOf: true,
    description: text(
      `One column of table ${tableName(named.table)} to sort by, such as { ${columns[0]?.field}: ASC }; pass a list to sort by several.`,
    ),
    fields: t =>
      Object.fromEntries(
        columns.map(({ field, column }) => [
          field,
          t.field({ type: direction, description: describeColumn(column) }),
        ]),
      ),
  })
}

/** Reads `orderBy`; graphql-js has checked that each item names exactly one column. */
export function createOrderReader(
  { columns }: TypedTable,
  max = 200,
): (orderBy: unknown) => RowsNode['orderBy'] {
  const byField = new Map(columns.map(({ field, column }) => [field, column.name]))
  return orderBy => {
    const items = (orderBy ?? []) as readonly Record<string, SortDirection>[]
    if (items.length > max)
      throw new LimitExceeded('maxFilterConditions', max, `orderBy: there are more than ${max} columns`)
    return items.flatMap(item =>
      Object.entries(item).map(([field, direction]) => ({ column: byField.get(field) as string, direction })),
    )
  }
}

function isOrdered({ column }: TypedColumn): boolean {
  return operatorsOf(column).includes('lt')
}
