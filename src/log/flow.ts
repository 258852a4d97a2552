import { createPausable, type Pausable } from '../lib/pausable.js'
import type { Flow } from './pump.js'

/** After so many events in a row, or so long in ms, other work gets its turn: frames leave, requests are answered. */
const EVENTS_PER_TURN = 100
const TURN_MS = 5

/** Dispatches events in turns with other work, and none while it is paused. */
export type PausableFlow = Flow & Pick<Pausable, 'pause' | 'resume'>

/** @param breathe resolves when the frames of the events so far have left. Default: after one turn of the event loop */
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
  }
}

const turnOver = () => new Promise<void>(resolve => void setImmediate(resolve))
