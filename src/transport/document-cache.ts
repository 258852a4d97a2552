/** The interface that Yoga wants of a cache. */
export interface DocumentCache<T> {
  get(document: string): T | undefined
  set(document: string, value: T): void
}

/**
 * Keeps what was made of the documents used last. Bounded by their text, not by their number: a client may send a new document
 * of a megabyte with every request, and each would stay.
 * @param limit most characters of all documents together
 */
export function createDocumentCache<T>(limit: number): DocumentCache<T> {
  const entries = new Map<string, T>()
  let size = 0
  return {
    get(document) {
      const value = entries.get(document)
      if (value !== undefined) {
        entries.delete(document) // a Map keeps the order of insertion: the oldest comes first
        entries.set(document, value)
      }
      return value
    },
    set(document, value) {
      if (document.length > limit) return
      if (!entries.has(document)) size += document.length
      entries.set(document, value)
      for (const oldest of entries.keys()) {
        if (size <= limit) break
        entries.delete(oldest)
        size -= oldest.length
      }
    },
  }
}
