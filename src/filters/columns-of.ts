import type { Filter, RelatedFilter } from './filter.js'

/** The names of the columns that a filter uses in its own table, each once. */
export function columnsOf(filter: Filter): string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return [...new Set(filter.filters.flatMap(columnsOf))]
    case 'not':
      return columnsOf(filter.filter)
    case 'related':
      return filter.link.pairs.map(({ local }) => local.name)
    default:
      return [filter.column.name]
  }
}

/** The conditions on linked rows in a filter, those inside of other such conditions left out. */
export function relatedIn(filter: Filter): RelatedFilter[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.filters.flatMap(relatedIn)
    case 'not':
      return relatedIn(filter.filter)
    case 'related':
      return [filter]
    default:
      return []
  }
}
