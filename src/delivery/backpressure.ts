import type { Observe } from '../lib/observation.js'
import type { Scheduler } from './scheduler.js'

/** A connection strains when this part of its buffer is full … */
const HIGH_WATER = 1 / 4
/** … until it is down to this part. */
const LOW_WATER = 1 / 16
/** A reader counts while it took something within this time, in ms … */
const ALIVE_MS = 250
/** … and has not strained for longer than this, in ms: a trickle may not hold everyone back. */
const STRAIN_PATIENCE_MS = 2000
/** Most that one turn may bring before those who wait are served, as a part of the buffer, and in bytes. */
const TURN_PART = 1 / 8
const TURN_MAX_BYTES = 1024 * 1024
/** How often that is looked at while reading is paused, in ms. */
const REVIEW_MS = 50

/** A connection that may hold reading back. */
export interface Reader {
  /** Time in ms since its socket moved, while something waits; 0 otherwise. */
  readonly blockedFor: number
}

export interface BackpressureOptions {
  readonly maxBuffer: number
  readonly scheduler: Scheduler
  readonly observe: Observe
}

/**
 * Backpressure towards Postgres: where a burst brings more than readers that do read can take, reading stops for a moment,
 * rather than cut them off. Those that do not read have no say, they are cut off at their limit.
 */
export interface Backpressure {
  /** So many bytes of events are new in this turn, as they come. libuv reads up to 32 chunks of 64 KiB from a socket before anyone else has a turn. */
  took(bytes: number): void
  report(reader: Reader, waiting: number): void
  release(reader: Reader): void
  /** @param source what reads from Postgres: it is paused and resumed from now on. Replaces the former one */
  pauses(source: Pausable): void
  close(): void
}

/** What can stop reading for a moment. Both are idempotent. */
export interface Pausable {
  pause(): void
  resume(): void
}

export function createBackpressure({ maxBuffer, scheduler, observe }: BackpressureOptions): Backpressure {
  const strained = new Map<Reader, number>()
  const turnLimit = Math.min(maxBuffer * TURN_PART, TURN_MAX_BYTES)
  let turnBytes = 0
  let pausedSince = 0
  let isPaused = false
  let closed = false
  let source: Pausable | undefined
  let review: NodeJS.Timeout | undefined

  const hasSay = (reader: Reader, since: number) =>
    reader.blockedFor < ALIVE_MS && performance.now() - since < STRAIN_PATIENCE_MS
  const evaluate = () => {
    let subscribers = 0
    for (const [reader, since] of strained) if (hasSay(reader, since)) subscribers++
    if (subscribers > 0 && pausedSince === 0) {
      pausedSince = performance.now()
      review = setInterval(evaluate, REVIEW_MS)
      observe({ type: 'reading.paused', subscribers })
    } else if (subscribers === 0 && pausedSince !== 0) {
      const pausedFor = performance.now() - pausedSince
      pausedSince = 0
      clearInterval(review)
      observe({ type: 'reading.resumed', pausedFor })
    }
    apply()
  }
  const apply = () => {
    const paused = pausedSince !== 0 || turnBytes > turnLimit
    if (paused === isPaused) return
    isPaused = paused
    if (paused) source?.pause()
    else source?.resume()
  }
  const endTurn = () => {
    turnBytes = 0
    apply()
  }
  return {
    took(bytes) {
      scheduler.afterwards(endTurn)
      turnBytes += bytes
      if (turnBytes > turnLimit) apply()
    },
    report(reader, waiting) {
      if (closed) return
      if (waiting > maxBuffer * HIGH_WATER) {
        if (!strained.has(reader)) strained.set(reader, performance.now())
      } else if (waiting > maxBuffer * LOW_WATER || !strained.delete(reader)) return
      evaluate()
    },
    release(reader) {
      if (strained.delete(reader)) evaluate()
    },
    pauses(other) {
      source = other
    },
    close() {
      closed = true
      strained.clear()
      clearInterval(review)
    },
  }
}
