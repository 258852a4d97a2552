/** Collects what happens in one turn of the event loop, and acts on it once, when the turn's input has been taken. */
export interface Turn {
  /** Runs `task` at the end of this turn; a task that is already due is not run twice. */
  due(task: () => void): void
  /** Whether the time of this turn is used up: a task with more to do makes itself due again. */
  readonly isOver: boolean
  /** Runs `task` once nothing is due any more, which may take several turns. */
  afterwards(task: () => void): void
}

/** How long one turn may take, in ms, before others have theirs: sockets are read and timers run in between. */
const SLICE = 8

/**
 * `setImmediate` runs right after the poll phase that brought the input, before any timer or further input: a burst becomes
 * one write per socket, and a lone event waits for nothing.
 * @param onFault takes what a task throws; the others run all the same
 */
export function createTurn(onFault: (error: unknown) => void): Turn {
  const tasks = new Set<() => void>()
  let isRunning = false
  let last = new Set<() => void>()
  let end = 0
  const run = () => {
    end = performance.now() + SLICE
    // A Set's iteration includes what is added meanwhile: what a task makes due runs in this turn, too, if there is time.
    for (const task of tasks) {
      tasks.delete(task)
      try {
        task()
      } catch (error) {
        onFault(error)
      }
      if (tasks.size > 0 && performance.now() >= end) {
        setImmediate(run)
        return
      }
    }
    isRunning = false
    const afterwards = last
    last = new Set()
    for (const task of afterwards) task()
  }
  const start = () => {
    if (isRunning) return
    isRunning = true
    setImmediate(run)
  }
  return {
    due(task) {
      tasks.add(task)
      start()
    },
    get isOver() {
      return performance.now() >= end
    },
    afterwards(task) {
      last.add(task)
      start()
    },
  }
}
