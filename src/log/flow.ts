import { createDeferred, type Deferred } from '../lib/deferred.js'
import type { Flow } from './pump.js'

/** After so many events in a row, or so long in ms, other work gets its turn: frames leave, requests are answered. */
const EVENTS_PER_TURN = 100
const TURN_MS = 5

export interface PausableFlow extends Flow {
  /** Stops events from being dispatched, at once. Idempotent. */
  pause(): void
  resume(): void
}

/** @param breathe resolves when the frames of the events so far have left. Default: after one turn of the event loop */
export function createFlow(breathe: () => Promise<void> = turnOver): PausableFlow {
  let events = 0
  let began = 0
  let resumed: Deferred | undefined

  async function untilReady(isTurnOver: boolean): Promise<void> {
    if (isTurnOver) await breathe()
    while (resumed) await resumed.promise
    events = 1
    began = performance.now()
  }

  return {
    begin() {
      began = performance.now()
    },
    ready() {
      const isTurnOver = ++events > EVENTS_PER_TURN || performance.now() - began > TURN_MS
      return isTurnOver || resumed ? untilReady(isTurnOver) : undefined
    },
    pause() {
      resumed ??= createDeferred()
    },
    resume() {
      resumed?.resolve()
      resumed = undefined
    },
  }
}

const turnOver = () => new Promise<void>(resolve => void setImmediate(resolve))
