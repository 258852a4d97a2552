import type { Filter } from './filter.js'

/** The names of the columns that a filter uses, each once. */
export function columnsOf(filter: Filter): string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return [...new Set(filter.filters.flatMap(columnsOf))]
    case 'not':
      return columnsOf(filter.filter)
    default:
      return [filter.column.name]
  }
}
