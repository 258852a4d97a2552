import type { Filter } from './subset-filter.js'

/**
 * Whether the first filter certainly matches all rows that the second one matches: it has no further conditions. A query with a
 * limit asks for its rows, then for those of them that are equal in order to the last one.
 *
 * @param outer undefined: all rows
 */
export function covers(outer: Filter | undefined, inner: Filter | undefined): boolean {
  if (!outer) return true
  if (!inner) return false
  const conditions = new Set(conditionsOf(inner))
  return conditionsOf(outer).every(condition => conditions.has(condition))
}

/** Returns the filters without those that others cover. */
export function withoutCovered(filters: readonly (Filter | undefined)[]): (Filter | undefined)[] {
  const kept: (Filter | undefined)[] = []
  for (const filter of filters) {
    if (kept.some(other => covers(other, filter))) continue
    kept.splice(0, kept.length, ...kept.filter(other => !covers(filter, other)), filter)
  }
  return kept
}

/** The conditions that all have to hold, as JSON. */
function conditionsOf(filter: Filter): string[] {
  const { and, ...others } = filter as { readonly and?: readonly Filter[] }
  return [...(and ?? []).flatMap(conditionsOf), ...Object.entries(others).map(one => JSON.stringify(one))]
}

/**
 * Returns a filter that a row matches if it matches one of these. Values of one column become one `in`, because joins ask for their
 * rows key by key, and the server limits the number of conditions.
 */
export function unionOf(filters: readonly Filter[]): Filter {
  if (filters.length === 1) return filters[0] as Filter
  const values = new Map<string, Set<unknown>>()
  const others: Filter[] = []
  for (const filter of filters) {
    const [column, operands] = valuesOf(filter) ?? []
    if (column === undefined) others.push(filter)
    else values.set(column, new Set([...(values.get(column) ?? []), ...(operands ?? [])]))
  }
  const all = [...[...values].map(([column, operands]) => ({ [column]: { in: [...operands] } })), ...others]
  return all.length === 1 ? (all[0] as Filter) : { or: all }
}

/** The column and its values, if the filter is nothing but `eq` or `in` of one column. */
function valuesOf(filter: Filter): readonly [string, readonly unknown[]] | undefined {
  const [[column, condition] = [], ...more] = Object.entries(filter)
  if (column === undefined || more.length > 0 || ['and', 'or', 'not'].includes(column)) return undefined
  const { eq, in: list } = condition as { readonly eq?: unknown; readonly in?: readonly unknown[] }
  if (list) return [column, list]
  return eq === undefined ? undefined : [column, [eq]]
}
