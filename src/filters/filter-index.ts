import type { Filter } from './filter.js'
import { indexKeys } from './index-keys.js'
import { type Key, sameKey } from './keys.js'
import type { RowImage } from './row-image.js'

/** Finds, among many filters, those that a row may match, without evaluating each of them. */
export interface FilterIndex<Entry> {
  /** @returns removes it */
  add(filter: Filter, entry: Entry): () => void
  /**
   * Calls `visit` once for each entry whose filter one of the two rows may match; the predicate decides whether it does.
   * Entries may be added and removed meanwhile.
   */
  visit(row: RowImage | null, old: RowImage | null, visit: (entry: Entry) => void): void
}

type Buckets<Entry> = Map<Key, Set<Entry>>

/**
 * A hash table for each column. A filter is stored under one of its equality conditions (`eq`, `in`), the one with the fewest other
 * filters; a filter without any is visited for each row.
 */
export function createFilterIndex<Entry>(): FilterIndex<Entry> {
  const columns = new Map<string, Buckets<Entry>>()
  const scanned = new Set<Entry>()

  function crowd(column: string, keys: ReadonlySet<Key>): number {
    const buckets = columns.get(column)
    let entries = keys.size
    for (const key of keys) entries += buckets?.get(key)?.size ?? 0
    return entries
  }

  return {
    add(filter, entry) {
      const conditions = indexKeys(filter)
      const [first] = conditions
      if (!first) {
        scanned.add(entry)
        return () => void scanned.delete(entry)
      }
      const { column, keys } = conditions.reduce((best, other) =>
        crowd(other.column, other.keys) < crowd(best.column, best.keys) ? other : best,
      )
      let buckets = columns.get(column)
      if (!buckets) {
        buckets = new Map()
        columns.set(column, buckets)
      }
      for (const key of keys) {
        const bucket = buckets.get(key)
        if (bucket) bucket.add(entry)
        else buckets.set(key, new Set([entry]))
      }
      const own = buckets
      return () => {
        for (const key of keys) {
          const bucket = own.get(key)
          if (bucket?.delete(entry) && bucket.size === 0) own.delete(key)
        }
        if (own.size === 0 && columns.get(column) === own) columns.delete(column)
      }
    },
    visit(row, old, visit) {
      for (const entry of scanned) visit(entry)
      for (const [column, buckets] of columns) {
        const now = row?.key(column) ?? null
        const before = old?.key(column) ?? null
        const found = now === null ? undefined : buckets.get(now)
        for (const entry of found ?? []) visit(entry)
        if (before === null || (now !== null && sameKey(now, before))) continue
        for (const entry of buckets.get(before) ?? []) if (!found?.has(entry)) visit(entry)
      }
    },
  }
}
