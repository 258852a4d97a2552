/** A value that changes, as React's `useSyncExternalStore` and Svelte's and Vue's adapters take it. */
export interface Store<Snapshot> {
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void
  /** Returns the same object until something has changed. */
  getSnapshot(): Snapshot
}

/** Default of `linger`, in ms: longer than a component needs that is unmounted and mounted again. */
export const LINGER_MS = 1_000

/** The listeners of a store. */
export interface Listeners {
  readonly isOpen: boolean
  /** As that of a store. */
  subscribe(listener: () => void): () => void
  /** Calls all of them. An error that one throws reaches the global error handler, and the others are called. */
  notify(): void
  /** Closes, if the store is open, and never opens again. May be called twice. */
  close(): void
}

export interface ListenersOptions {
  /** Called when the first listener comes. @returns what closes again */
  readonly open: () => () => void
  /** How long the store stays open after the last listener has left, in ms. */
  readonly linger: number
}

/** A store is open while it has listeners, and for a while after that: rendering on a server opens nothing. */
export function createListeners({ open, linger }: ListenersOptions): Listeners {
  const listeners = new Set<{ readonly call: () => void }>()
  let closeStore: (() => void) | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isOver = false

  function rest(): void {
    clearTimeout(timer)
    const close = closeStore
    closeStore = undefined
    close?.()
  }
  return {
    get isOpen() {
      return closeStore !== undefined
    },
    subscribe(call) {
      const listener = { call } // the same function may be given twice
      listeners.add(listener)
      clearTimeout(timer)
      if (!isOver) closeStore ??= open()
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return
        clearTimeout(timer)
        timer = setTimeout(rest, linger)
      }
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
    close() {
      isOver = true
      rest()
    },
  }
}
