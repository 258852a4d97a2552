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
  let waiting: CustomEvent[] = []
  let next = 0
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
    const end = Math.min(next + SLICE, waiting.length)
    while (next < end) {
      try {
        deliver(waiting[next] as CustomEvent)
      } catch (error) {
        if (error instanceof Error && error.name === 'RepeaterOverflowError') {
          schedule(pause)
          pause = Math.min(pause * 2, RETRY_MAX)
          return
        }
        onError(error instanceof Error ? error : new Error(String(error)))
      }
      if (closed) return // the listener removed itself
      next++
      pause = RETRY_MIN
    }
    // Dropping the head for each event would cost the square of the burst.
    if (next === waiting.length || next > 4096) {
      waiting = waiting.slice(next)
      next = 0
    }
    if (waiting.length > next) schedule(0)
  }

  return {
    push(event) {
      if (closed) return
      waiting.push(event)
      if (waiting.length - next > maxWaiting) return onOverflow()
      // Handed out in the next turn, also when nothing waits: the order of listeners and of events stays plain.
      if (!scheduled) schedule(0)
    },
    close() {
      closed = true
      waiting = []
    },
  }
}
