import { createListeners } from '../../src/client/store/listeners.js'
import type { Store } from '../../src/client/store/store.js'

/** An error that a part of the page has at the moment. */
export interface Refusal {
  /** What was refused: a table, a channel. */
  readonly about: string
  readonly code: string | undefined
  readonly message: string
  readonly hint: string | undefined
}

/** The errors of all parts of the page, of which it shows the newest. */
export interface Refusals extends Store<Refusal | undefined> {
  /** @param refusal undefined: the part has no error any more */
  report(part: string, refusal: Refusal | undefined): void
  /** Hides the present ones. */
  dismiss(): void
}

export function createRefusals(): Refusals {
  const listeners = createListeners()
  const present = new Map<string, Refusal>()
  let newest: Refusal | undefined

  function settle(): void {
    const last = [...present.values()].at(-1)
    if (last === newest) return
    newest = last
    listeners.notify()
  }
  return {
    subscribe: listeners.subscribe,
    getSnapshot: () => newest,
    report(part, refusal) {
      const known = present.get(part)
      if (refusal && known && isSame(known, refusal)) return
      present.delete(part)
      if (refusal) present.set(part, refusal) // last, because it is the newest
      settle()
    },
    dismiss() {
      present.clear()
      settle()
    },
  }
}

const isSame = (one: Refusal, other: Refusal) => one.code === other.code && one.message === other.message
