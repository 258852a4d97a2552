import { Fifo } from '../fifo.js'

/** Lets a few tasks begin in each turn of the event loop, and the others wait. */
export interface Turnstile {
  /**
   * Owners that wait take turns, however many tasks each has; the tasks of one owner begin in the order of the calls.
   * @param owner the client of the task
   * @param signal ends the wait, and the task costs no other its place
   * @returns undefined: go on at once. Otherwise resolves in a later turn, or when the signal aborts
   */
  enter(owner: string, signal?: AbortSignal): Promise<void> | undefined
}

interface Waiting {
  readonly begin: () => void
  readonly signal: AbortSignal | undefined
}

/**
 * A thousand clients that connect in the same moment would otherwise have all their requests read in one turn, which takes hundreds of
 * milliseconds, in which no event is delivered.
 * @param most how many tasks may begin in one turn
 */
export function createTurnstile(most: number): Turnstile {
  /** What waits, by owner; the owner with the next turn comes first. */
  const owners = new Map<string, Fifo<Waiting>>()
  let entered = 0

  function next(): Waiting | undefined {
    for (const [owner, waiting] of owners) {
      owners.delete(owner)
      const first = waiting.shift()
      if (waiting.size > 0) owners.set(owner, waiting) // after all others
      return first
    }
    return undefined
  }

  function turn(): void {
    entered = 0
    for (let waiting = next(); waiting; waiting = entered < most ? next() : undefined) {
      if (waiting.signal?.aborted) continue
      entered++
      waiting.begin()
    }
    if (entered > 0) setImmediate(turn)
  }

  return {
    enter(owner, signal) {
      if (entered < most) {
        if (entered++ === 0) setImmediate(turn)
        return undefined
      }
      return new Promise(begin => {
        signal?.addEventListener('abort', () => begin(), { once: true })
        const waiting = owners.get(owner) ?? new Fifo()
        waiting.push({ begin, signal })
        owners.set(owner, waiting)
      })
    },
  }
}
