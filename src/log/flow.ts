import { createPausable, type Pausable } from '../lib/pausable.js'
import type { Flow } from './pump.js'

/** After this many events, or this time in ms, other work gets a turn: frames are sent, requests are answered. */
const EVENTS_PER_TURN = 100
const TURN_MS = 5

/** Lets events alternate with other work, and lets none be dispatched while it is paused. */
export type PausableFlow = Flow &
  Pick<Pausable, 'pause' | 'resume'> & {
    /** When the present page or turn began (`performance.now()`). */
    readonly turnBegan: number
  }

/** @param breathe resolves once the frames of the events dispatched so far have been sent. Default: after one turn of the event loop */
export function createFlow(breathe: () => Promise<void> = turnOver): PausableFlow {
  const { pause, resume, resumed } = createPausable()
  let events = 0
  let began = 0

  async function untilReady(isTurnOver: boolean): Promise<void> {
    if (isTurnOver) await breathe()
    for (let paused = resumed(); paused; paused = resumed()) await paused
    events = 1
    began = performance.now()
  }

  return {
    begin() {
      began = performance.now()
    },
    ready() {
      const isTurnOver = ++events > EVENTS_PER_TURN || performance.now() - began > TURN_MS
      return isTurnOver || resumed() ? untilReady(isTurnOver) : undefined
    },
    pause,
    resume,
    get turnBegan() {
      return began
    },
  }
}

const turnOver = () => new Promise<void>(resolve => void setImmediate(resolve))
