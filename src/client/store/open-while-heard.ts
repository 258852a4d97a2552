import { createListeners, type Listeners } from './listeners.js'

/** Default of `linger`, in ms: longer than a component needs that is unmounted and mounted again. */
export const LINGER_MS = 1_000

/** Listeners of a store that is open while it has some. */
export interface OpeningListeners extends Pick<Listeners, 'subscribe' | 'notify'> {
  readonly isOpen: boolean
  /** Closes, if the store is open, and never opens again. May be called twice. */
  close(): void
}

export interface OpenWhileHeardOptions {
  /** Called when the first listener comes. @returns what closes again */
  readonly open: () => () => void
  /** How long the store stays open after the last listener has left, in ms. */
  readonly linger: number
}

/** Opens a store while it has listeners, and for a while after that. So rendering on a server, which adds no listener, opens nothing. */
export function openWhileHeard({ open, linger }: OpenWhileHeardOptions): OpeningListeners {
  const listeners = createListeners()
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
    subscribe(listener) {
      const leave = listeners.subscribe(listener)
      clearTimeout(timer)
      if (!isOver) closeStore ??= open()
      return () => {
        leave()
        clearTimeout(timer)
        if (listeners.size === 0) timer = setTimeout(rest, linger)
      }
    },
    notify: listeners.notify,
    close() {
      isOver = true
      rest()
    },
  }
}
