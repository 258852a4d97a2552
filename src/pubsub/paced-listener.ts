import { Fifo } from '../lib/fifo.js'

/** Events delivered in a row; a Repeater accepts 1,024 before it throws. */
const EVENTS_PER_TURN = 256
/** Shortest and longest pause before a refused event is delivered again, in ms. */
const RETRY_MIN_MS = 1
const RETRY_MAX_MS = 50
/** The longest pause for a listener that was cut off. */
const CUT_OFF_RETRY_MAX_MS = 1000
/** A listener strains when this part of `maxWaiting` waits for it … */
const HIGH_WATER = 1 / 4
/** … until that has shrunk to this part. */
const LOW_WATER = 1 / 16
/** It may hold up reading until it has refused this often in a row (250 ms, or as many turns of a busy event loop) … */
const MAX_REFUSALS = 10
/** … or has held up reading, in one strain, for this many ms: a slow trickle must not delay all other listeners. */
const STRAIN_PATIENCE_MS = 2000

export interface PacedListenerOptions {
  /** Delivers an event. A thrown RepeaterOverflowError refuses it for now; any other error is passed to `onError`. */
  readonly deliver: (event: CustomEvent) => void
  /** Events that may wait once it has used up the patience; one more ends this listener. */
  readonly maxWaiting: number
  readonly onError: (error: unknown) => void
  /** True: reading should pause, or more events will wait than allowed; false: no longer. */
  readonly onStrain: (strained: boolean) => void
  /** More than `maxWaiting` events were waiting: they are dropped, and later ones are ignored. */
  readonly onOverflow: () => void
  /** The last event, delivered instead of them once the listener accepts one. */
  readonly lastWord: () => CustomEvent
}

/** Delivers events to a listener that may refuse one for now, in order and without losing any. */
export interface PacedListener {
  push(event: CustomEvent): void
  close(): void
}

/**
 * Between slices the event loop turns, so that a reader can read what it got. A listener that throws a RepeaterOverflowError
 * has not accepted that event: it gets it again, after a pause that grows while it does not read.
 *
 * A listener that reads is never cut off: it makes reading from Postgres pause instead, so that its waiting events stay near a
 * quarter of `maxWaiting`. Patience is counted in pauses, not by a clock: during a long synchronous computation no listener can read.
 */
export function createPacedListener(options: PacedListenerOptions): PacedListener {
  const { deliver, maxWaiting, onError, onStrain, onOverflow, lastWord } = options
  const waiting = new Fifo<CustomEvent>()
  let state: 'open' | 'overflowed' | 'closed' = 'open'
  let cancel: (() => void) | undefined
  let pause = RETRY_MIN_MS
  let refusals = 0
  let strain: 'none' | 'held' | 'given up' = 'none'
  let waited = 0

  function schedule(ms: number): void {
    if (ms === 0) {
      const immediate = setImmediate(run)
      cancel = () => clearImmediate(immediate)
    } else {
      const timer = setTimeout(run, ms)
      if (state === 'overflowed') timer.unref() // it may never be read again
      cancel = () => clearTimeout(timer)
    }
  }

  function run(): void {
    cancel = undefined
    for (let handed = 0; handed < EVENTS_PER_TURN && waiting.size > 0; handed++) {
      if (!take(waiting.peek() as CustomEvent)) {
        schedule(pause)
        refusals++
        waited += pause
        pause = Math.min(pause * 2, state === 'overflowed' ? CUT_OFF_RETRY_MAX_MS : RETRY_MAX_MS)
        return assess()
      }
      if (state === 'closed') return // the listener removed itself
      waiting.shift()
      pause = RETRY_MIN_MS
      refusals = 0
    }
    if (waiting.size > 0) schedule(0)
    assess()
  }

  function take(event: CustomEvent): boolean {
    try {
      deliver(event)
    } catch (error) {
      if (error instanceof Error && error.name === 'RepeaterOverflowError') return false
      onError(error)
    }
    return true
  }

  function assess(): void {
    const before = strain
    if (waiting.size <= maxWaiting * LOW_WATER || state !== 'open') {
      strain = 'none'
      waited = 0
    } else if (strain === 'none' && waiting.size > maxWaiting * HIGH_WATER) strain = 'held'
    // Once given up, it stays so until the listener has caught up.
    if (strain === 'held' && (refusals >= MAX_REFUSALS || waited >= STRAIN_PATIENCE_MS)) strain = 'given up'
    if ((strain === 'held') !== (before === 'held')) onStrain(strain === 'held')
  }

  /** A listener that refuses is an iterator, which would wait for ever for the dropped events: it ends with an error. */
  function overflow(): void {
    state = 'overflowed'
    waiting.clear()
    waiting.push(lastWord())
    assess()
    onOverflow()
  }

  return {
    push(event) {
      if (state !== 'open') return
      waiting.push(event)
      assess()
      if (strain === 'given up' && waiting.size > maxWaiting) overflow()
      // Delivered in the next turn even if no other event waits, so that the order of listeners and events is the same.
      else if (!cancel) schedule(0)
    },
    close() {
      state = 'closed'
      cancel?.()
      waiting.clear()
      assess()
    },
  }
}
