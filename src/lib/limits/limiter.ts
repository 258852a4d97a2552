import { Fifo } from '../fifo.js'

/** Runs functions, a limited number at the same time; the others wait for their turn. */
export type Limiter = <T>(run: () => Promise<T>) => Promise<T>

export function createLimiter(limit: number): Limiter {
  const waiting = new Fifo<() => void>()
  let free = limit
  return async run => {
    if (free > 0) free--
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
