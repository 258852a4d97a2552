import type { Observe } from '../lib/observation.js'
import type { Scheduler } from './scheduler.js'

/** A connection is strained from when more than this part of its buffer is full … */
const HIGH_WATER = 1 / 4
/** … until no more than this part is full. */
const LOW_WATER = 1 / 16
/** A strained connection pauses reading only while its socket took something within this time, in ms … */
const ALIVE_MS = 250
/** … and only for this long, in ms: a client that reads slowly but steadily must not slow down all other clients. */
const STRAIN_PATIENCE_MS = 2000
/** Most bytes of events that are read in one turn before waiting frames are sent: this part of the buffer, and at most so many bytes. */
const TURN_PART = 1 / 8
const TURN_MAX_BYTES = 1024 * 1024
/** How often the strained connections are examined while reading is paused, in ms. */
const REVIEW_MS = 50

/** A connection that may pause reading. */
export interface Reader {
  /** Time in ms since its socket last took something, while frames wait; 0 otherwise. */
  readonly blockedFor: number
}

export interface BackpressureOptions {
  /** Read at each use, since a reload may change them. */
  readonly limits: { readonly maxBuffer: number }
  readonly scheduler: Scheduler
  readonly observe: Observe
}

/**
 * Backpressure towards Postgres. If a burst brings more than clients that do read can take, reading from Postgres pauses briefly
 * instead of cutting these clients off. Clients that do not read cannot pause it; they are cut off at their buffer limit.
 */
export interface Backpressure {
  /**
   * Counts bytes of events that have arrived in this turn. Needed because libuv reads up to 32 chunks of 64 KiB from one socket
   * before other work gets a turn.
   */
  took(bytes: number): void
  /** @param waiting bytes that wait for the connection */
  report(reader: Reader, waiting: number): void
  /** Nothing waits for the connection any more, or it has been closed. */
  release(reader: Reader): void
  /** Sets the part that reads from Postgres, which is paused and resumed from now on. Replaces the former one. */
  pauses(source: Pausable): void
  close(): void
}

/** A part whose reading can be paused. Both methods are idempotent. */
export interface Pausable {
  pause(): void
  resume(): void
}

export function createBackpressure(options: BackpressureOptions): Backpressure {
  const { limits, scheduler, observe } = options
  const strained = new Map<Reader, number>()
  const turnLimit = () => Math.min(limits.maxBuffer * TURN_PART, TURN_MAX_BYTES)
  let turnBytes = 0
  let pausedSince = 0
  let isPaused = false
  let closed = false
  let source: Pausable | undefined
  let review: NodeJS.Timeout | undefined

  const mayPause = (reader: Reader, since: number) =>
    reader.blockedFor < ALIVE_MS && performance.now() - since < STRAIN_PATIENCE_MS
  const evaluate = () => {
    let subscribers = 0
    for (const [reader, since] of strained) if (mayPause(reader, since)) subscribers++
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
    const paused = pausedSince !== 0 || turnBytes > turnLimit()
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
      if (turnBytes > turnLimit()) apply()
    },
    report(reader, waiting) {
      if (closed) return
      if (waiting > limits.maxBuffer * HIGH_WATER) {
        if (!strained.has(reader)) strained.set(reader, performance.now())
      } else if (waiting > limits.maxBuffer * LOW_WATER || !strained.delete(reader)) return
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
