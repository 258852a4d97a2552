import type { Filter } from './filter.js'
import type { Key } from './keys.js'

/** A condition that must hold: the row's key of this column is one of these. */
export interface IndexKeys {
  /** The column's name in the table. */
  readonly column: string
  /** Keys as RowImage.key returns them; look them up as in a Map. Empty: no row matches. */
  readonly keys: ReadonlySet<Key>
}

/**
 * The equality conditions that every matching row fulfils, those with the fewest keys first. An index may use any one of
 * them, and must still evaluate the predicate. Empty: the filter must be evaluated for every row.
 */
export function indexKeys(filter: Filter): readonly IndexKeys[] {
  return [...required(filter)]
    .map(([column, keys]) => ({ column, keys }))
    .sort((a, b) => a.keys.size - b.keys.size)
}

type Required = ReadonlyMap<string, ReadonlySet<Key>>
const NOTHING: Required = new Map()

function required(filter: Filter): Required {
  switch (filter.kind) {
    case 'compare':
      return filter.operator === 'eq'
        ? new Map([[filter.column.name, new Set([filter.operand.key])]])
        : NOTHING
    case 'in':
      return filter.negated
        ? NOTHING
        : new Map([[filter.column.name, new Set(filter.operands.map(({ key }) => key))]])
    case 'and':
      return filter.filters.map(required).reduce(intersect, NOTHING)
    case 'or': {
      const [first, ...rest] = filter.filters.map(required)
      return first === undefined ? NOTHING : rest.reduce(unite, first)
    }
    default:
      return NOTHING
  }
}

/** Both hold: the columns of either, and for a column of both, the keys that both allow. */
function intersect(a: Required, b: Required): Required {
  const both = new Map(a)
  for (const [column, keys] of b) {
    const known = both.get(column)
    both.set(column, known ? new Set([...keys].filter(key => known.has(key))) : keys)
  }
  return both
}

/** One of them holds: only the columns of both. */
function unite(a: Required, b: Required): Required {
  const either = new Map<string, ReadonlySet<Key>>()
  for (const [column, keys] of a) {
    const others = b.get(column)
    if (others) either.set(column, new Set([...keys, ...others]))
  }
  return either
}
