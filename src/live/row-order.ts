// The order of a list of rows, as far as the server knows it.
import { comparisonOf } from '../filters/comparisons.js'
import { operatorsOf } from '../filters/index.js'
import type { RowImage } from '../filters/row-image.js'
import type { RowsNode } from '../plan/plan.js'
import type { Column, TypeCategory } from '../postgres/types.js'

export interface Ordered {
  readonly column: Column
  readonly isDescending: boolean
  readonly nullsFirst: boolean
  /** Whether the server knows the order of the values. */
  readonly isKnown: boolean
}

/**
 * By a column, values are sorted as filters compare them. Keys are sorted in the order of their index: texts by the collation of the
 * column, and some types by rules of their own.
 */
const UNKNOWN_AS_KEY: ReadonlySet<TypeCategory> = new Set([
  'bpchar',
  'citext',
  'composite',
  'json',
  'other',
  'text',
])

/** @param key the columns of the primary key that the viewer may read */
export function orderOf({ table, orderBy }: RowsNode, key: readonly string[]): Ordered[] {
  const find = (name: string) => table.columns.find(one => one.name === name) as Column
  const sorted = orderBy.map(({ column: name, direction }) => {
    const column = find(name)
    return {
      column,
      isDescending: direction.startsWith('DESC'),
      nullsFirst: direction === 'DESC' || direction.endsWith('NULLS_FIRST'),
      isKnown: isOrdered(column),
    }
  })
  const rest = key.filter(name => !orderBy.some(({ column }) => column === name)).map(find)
  return [
    ...sorted,
    ...rest.map(column => ({
      column,
      isDescending: false,
      nullsFirst: false,
      isKnown: isOrdered(column) && !UNKNOWN_AS_KEY.has(column.category),
    })),
  ]
}

function isOrdered(column: Column): boolean {
  return operatorsOf(column).includes('lt')
}

/** Zero where the order is not known. */
export function comparing(order: readonly Ordered[]): (a: RowImage, b: RowImage) => number {
  const parts = order.map(one => ({ ...one, compare: comparisonOf(one.column).compare }))
  return (a, b) => {
    for (const { column, isDescending, nullsFirst, isKnown, compare } of parts) {
      if (!isKnown) return 0
      const x = a.key(column.name)
      const y = b.key(column.name)
      if (x === null || y === null) {
        if (x === y) continue
        return (x === null) === nullsFirst ? -1 : 1
      }
      const compared = compare(x, y)
      if (compared !== 0) return isDescending ? -compared : compared
    }
    return 0
  }
}
