import { createTurns } from '../lib/turns.js'
import { createGather } from './gather.js'

/** A query is read again after at least this many times the duration of its last read, so that reading takes a tenth of the time. */
const PACE_FACTOR = 10

/** A read that takes longer is slow, in ms: slow queries are read one after another, so that they never hold all connections. */
const SLOW_MS = 250

/** Reads that begin within this time share a snapshot, in ms: to take one costs as much as several reads. */
const GATHER_MS = 15

/** Most reads that wait for a connection; above that, the rest waits here. */
const MAX_READS = 1000

/** When a query was last read, if it was. */
export interface LastRead {
  /** When it began (`performance.now()`). -Infinity: there was none. */
  readonly readAt: number
  /** How long it took, in ms. */
  readonly duration: number
}

/** Decides when queries are read. */
export interface ReadPace {
  /**
   * Reads once the pace of the query allows it, together with others.
   * @param every the shortest time from one read to the next, in ms
   * @param pause shortest time until the read, in ms
   * @returns the timer until then; undefined: the pace allows it now
   */
  begin(last: LastRead, every: number, pause: number, read: () => Promise<void>): NodeJS.Timeout | undefined
  /** Drops the reads that wait for others. */
  close(): void
}

/** The time that passes at least from one read of a query to the next, in ms. */
export function intervalOf({ duration }: LastRead, every: number): number {
  return Math.max(every, Math.round(PACE_FACTOR * duration))
}

export function createReadPace(): ReadPace {
  const turns = createTurns({ limit: MAX_READS, slowLimit: 1 })
  const gather = createGather(GATHER_MS)
  return {
    begin(last, every, pause, read) {
      const begin = () => void turns.run('', last.duration > SLOW_MS, read)
      // A new subscriber does not wait for others.
      const gathered = last.readAt > Number.NEGATIVE_INFINITY ? () => gather.begin(begin) : begin
      const wait = Math.max(pause, last.readAt + intervalOf(last, every) - performance.now())
      if (wait > 0) return setTimeout(gathered, wait)
      gathered()
      return undefined
    },
    close: gather.close,
  }
}
