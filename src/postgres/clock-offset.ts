import type { Pool } from './pool.js'

/** How far the clock of the database is ahead of the clock of this machine. */
export interface ClockOffset {
  /** Asks the database again. Keeps the last result if that fails. */
  measure(): Promise<void>
  /** The time by the clock of the database, in ms since 1970. Undefined: it has not answered yet. */
  now(): number | undefined
}

/** Of this many measurements in a row, the one with the shortest round trip counts: it is off by at most half of that. */
const MEASUREMENTS = 3

/**
 * Returns the time by the clock of the database, in ms since 1970; NaN if the answer has none.
 * @param patience longest wait for a connection, in ms
 */
export async function askTime(pool: Pick<Pool, 'ask'>, patience: number): Promise<number> {
  const [row] = await pool.ask(`select date_part('epoch', clock_timestamp()) as now`, patience)
  return (row?.now ?? Number.NaN) * 1000
}

/** @param ask returns the time by the clock of the database, in ms since 1970 */
export function createClockOffset(ask: () => Promise<number>): ClockOffset {
  let offset: number | undefined

  async function measureOnce(): Promise<{ readonly offset: number; readonly roundTrip: number }> {
    const began = now()
    const time = await ask()
    const ended = now()
    return { offset: time - (began + ended) / 2, roundTrip: ended - began }
  }

  return {
    async measure() {
      try {
        let best = await measureOnce()
        for (let i = 1; i < MEASUREMENTS; i++) {
          const next = await measureOnce()
          if (next.roundTrip < best.roundTrip) best = next
        }
        offset = best.offset
      } catch {
        // The parts of the server that need the database report that it is away.
      }
    },
    now: () => (offset === undefined ? undefined : now() + offset),
  }
}

/** Unlike `Date.now()`, it has fractions of a millisecond and does not jump when the clock of the machine is set. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
