/** The interface that Yoga requires of a cache. */
export interface DocumentCache<T> {
  get(document: string): T | undefined
  set(document: string, value: T): void
}

/**
 * Keeps what was made of the most recently used documents. It is limited by their size, not their number: a client may send a
 * new document of a megabyte with every request.
 * @param limit most of all documents together
 * @param costOf the size of one. Default: the characters of its text
 * @param maxEntries most documents. Default: no limit but their size
 */
export function createDocumentCache<T>(
  limit: number,
  costOf: (document: string, value: T) => number = document => document.length,
  maxEntries = Number.POSITIVE_INFINITY,
): DocumentCache<T> {
  const entries = new Map<string, { readonly value: T; readonly cost: number }>()
  let size = 0
  return {
    get(document) {
      const entry = entries.get(document)
      if (entry !== undefined) {
        entries.delete(document) // a Map keeps the order of insertion: the least recently used comes first
        entries.set(document, entry)
      }
      return entry?.value
    },
    set(document, value) {
      const cost = costOf(document, value)
      if (cost > limit) return
      size += cost - (entries.get(document)?.cost ?? 0)
      entries.set(document, { value, cost })
      for (const [oldest, entry] of entries) {
        if (size <= limit && entries.size <= maxEntries) break
        entries.delete(oldest)
        size -= entry.cost
      }
    },
  }
}
