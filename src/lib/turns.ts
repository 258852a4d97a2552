import { Fifo } from './fifo.js'

export interface TurnsOptions {
  /** Most tasks that run at the same time. */
  readonly limit: number
  /** Most slow tasks that run at the same time. */
  readonly slowLimit: number
}

/** Runs tasks of several owners, a few at the same time. */
export interface Turns {
  /**
   * Waits for a turn, then runs. Waiting owners take turns, however many tasks each has. At most `slowLimit` slow tasks run at the
   * same time; if both kinds wait for one free place, they alternate.
   */
  run<T>(owner: string, isSlow: boolean, work: () => Promise<T>): Promise<T>
}

interface Line {
  /** Waiting tasks by owner; the owner with the next turn comes first. */
  readonly owners: Map<string, Fifo<() => void>>
  readonly limit: number
  running: number
}

export function createTurns({ limit, slowLimit }: TurnsOptions): Turns {
  const quick: Line = { owners: new Map(), limit, running: 0 }
  const slow: Line = { owners: new Map(), limit: slowLimit, running: 0 }
  let free = limit
  let last = slow

  function next(line: Line): (() => void) | undefined {
    if (line.running >= line.limit) return undefined
    for (const [owner, waiting] of line.owners) {
      line.owners.delete(owner)
      const start = waiting.shift()
      if (waiting.size > 0) line.owners.set(owner, waiting) // after all others
      line.running++
      return start
    }
    return undefined
  }

  function serve(): void {
    while (free > 0) {
      const first = last === slow ? quick : slow
      const second = last
      let line = first
      let start = next(line)
      if (!start) {
        line = second
        start = next(line)
      }
      if (!start) return
      last = line
      free--
      start()
    }
  }

  return {
    async run(owner, isSlow, work) {
      const line = isSlow ? slow : quick
      await new Promise<void>(resolve => {
        const waiting = line.owners.get(owner) ?? new Fifo()
        waiting.push(resolve)
        line.owners.set(owner, waiting)
        serve()
      })
      try {
        return await work()
      } finally {
        line.running--
        free++
        serve()
      }
    },
  }
}
