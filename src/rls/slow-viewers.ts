/** How long policies take, table by table. */
export interface SlowViewers {
  /** Whether the policies were slow for this viewer the last time. */
  has(relid: string, key: string): boolean
  /** The policies were too slow to evaluate together with those of other viewers. */
  add(relid: string, key: string): void
  /** @param took in ms, for this viewer alone */
  took(relid: string, key: string, took: number): void
}

/** Most viewers that are remembered for a table; at that number the table's record starts anew. */
const MAX_REMEMBERED_VIEWERS = 10_000

/** @param longest time that a viewer's query may take in a shared batch, in ms */
export function createSlowViewers(longest: number): SlowViewers {
  const tables = new Map<string, Set<string>>()
  return {
    has: (relid, key) => tables.get(relid)?.has(key) ?? false,
    add(relid, key) {
      const keys = tables.get(relid) ?? new Set()
      if (keys.size >= MAX_REMEMBERED_VIEWERS) keys.clear()
      keys.add(key)
      tables.set(relid, keys)
    },
    took(relid, key, took) {
      if (took > longest / 2) return
      const keys = tables.get(relid)
      keys?.delete(key)
      if (keys?.size === 0) tables.delete(relid)
    },
  }
}

/** How many viewers of a table one message covers, so that it takes no longer than others can wait. */
export interface BatchSizes {
  of(relid: string): number
  /** @param took in ms, for that many viewers */
  took(relid: string, viewers: number, took: number): void
}

/** A message that takes between SHORT_MS and LONG_MS leaves the size as it is. */
const SHORT_MS = 25
const LONG_MS = 100

export function createBatchSizes(first: number, most: number): BatchSizes {
  const sizes = new Map<string, number>()
  const of = (relid: string) => sizes.get(relid) ?? first
  return {
    of,
    took(relid, viewers, took) {
      const size = of(relid)
      if (took > LONG_MS) sizes.set(relid, Math.max(1, Math.floor(Math.min(viewers, size) / 2)))
      else if (took < SHORT_MS && viewers >= size) sizes.set(relid, Math.min(most, size * 2))
    },
  }
}
