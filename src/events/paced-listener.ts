import { Fifo } from '../lib/fifo.js'

/** Events handed out in a row; a Repeater takes 1,024 before it throws. */
const SLICE = 256
/** Pauses before an event that was refused is handed out again, in ms. */
const RETRY_MIN = 1
const RETRY_MAX = 50

/** Hands events to a listener that may refuse one for now, in order and without losing any. */
export interface PacedListener {
  push(event: CustomEvent): void
  close(): void
}

/**
 * Between slices the event loop turns, so that a reader can take what it got. A listener that throws a RepeaterOverflowError
 * has not taken that event: it gets it again, after a pause that grows while it does not read.
 */
export function createPacedListener(options: {
  readonly deliver: (event: CustomEvent) => void
  readonly maxWaiting: number
  readonly onError: (error: Error) => void
  readonly onOverflow: () => void
}): PacedListener {
  const { deliver, maxWaiting, onError, onOverflow } = options
  const waiting = new Fifo<CustomEvent>()
  let scheduled = false
  let closed = false
  let pause = RETRY_MIN

  function schedule(ms: number): void {
    scheduled = true
    if (ms === 0) setImmediate(run)
    else setTimeout(run, ms)
  }

  function run(): void {
    scheduled = false
    if (closed) return
    for (let handed = 0; handed < SLICE && waiting.size > 0; handed++) {
      try {
        deliver(waiting.peek() as CustomEvent)
      } catch (error) {
        if (error instanceof Error && error.name === 'RepeaterOverflowError') {
          schedule(pause)
          pause = Math.min(pause * 2, RETRY_MAX)
          return
        }
        onError(error instanceof Error ? error : new Error(String(error)))
      }
      if (closed) return // the listener removed itself
      waiting.shift()
      pause = RETRY_MIN
    }
    if (waiting.size > 0) schedule(0)
  }

  return {
    push(event) {
      if (closed) return
      waiting.push(event)
      if (waiting.size > maxWaiting) return onOverflow()
      // Handed out in the next turn, also when nothing waits: the order of listeners and of events stays plain.
      if (!scheduled) schedule(0)
    },
    close() {
      closed = true
      waiting.clear()
    },
  }
}
