import { Fifo } from '../fifo.js'

/** Lets a few tasks begin in each turn of the event loop, and the others wait. */
export interface Turnstile {
  /** Undefined: go on at once. Otherwise resolves in a later turn, in the order of the calls. */
  enter(): Promise<void> | undefined
}

/**
 * A thousand clients that connect in the same moment would otherwise have all their requests read in one turn, which takes hundreds of
 * milliseconds, in which no event is delivered.
 * @param most how many tasks may begin in one turn
 */
export function createTurnstile(most: number): Turnstile {
  const waiting = new Fifo<() => void>()
  let entered = 0

  function turn(): void {
    entered = 0
    while (entered < most && waiting.size > 0) {
      entered++
      waiting.shift()?.()
    }
    if (entered > 0) setImmediate(turn)
  }

  return {
    enter() {
      if (entered >= most) return new Promise(resolve => waiting.push(resolve))
      if (entered++ === 0) setImmediate(turn)
      return undefined
    },
  }
}
