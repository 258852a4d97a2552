/** The listeners of a store. */
export interface Listeners {
  readonly size: number
  /** As that of a store. */
  subscribe(listener: () => void): () => void
  /** Calls all of them. An error that one throws reaches the global error handler, and the others are called. */
  notify(): void
}

export function createListeners(): Listeners {
  const listeners = new Set<{ readonly call: () => void }>()
  return {
    get size() {
      return listeners.size
    },
    subscribe(call) {
      const listener = { call } // the same function may be given twice
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    notify() {
      for (const { call } of [...listeners]) {
        try {
          call()
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}
