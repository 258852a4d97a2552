import type { Filter } from './filter.js'

/**
 * A filter that a row image can decide, and that every row matches which the given filter matches: conditions on linked rows count as
 * fulfilled, or as not fulfilled under a `not`. By monotony of the logic of true, false and unknown.
 */
export function relax(filter: Filter): Filter {
  return bound(filter, true)
}

/** @param upper true: matches at least the rows that the filter matches; false: at most */
function bound(filter: Filter, upper: boolean): Filter {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { kind: filter.kind, filters: filter.filters.map(part => bound(part, upper)) }
    case 'not':
      return { kind: 'not', filter: bound(filter.filter, !upper) }
    case 'related':
      return { kind: upper ? 'and' : 'or', filters: [] }
    default:
      return filter
  }
}
