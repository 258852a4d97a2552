/** Collects what happens in one turn of the event loop, and acts on it once, when the turn's input has been taken. */
export interface Scheduler {
  /** Runs `task` at the end of this turn; a task that is already due is not run twice. */
  due(task: () => void): void
  /** The same, when nothing is due any more, in the time that is left, for what may wait: somebody who catches up on the past. */
  spare(task: () => void): void
  /** Whether the time of this turn is used up: a task with more to do makes itself due again. */
  readonly isOver: boolean
  /** Runs `task` once nothing is due any more, which may take several turns. */
  afterwards(task: () => void): void
}

/** How long one turn may take, in ms, before others have theirs: sockets are read and timers run in between. */
const TURN_MS = 8

/**
 * `setImmediate` runs right after the poll phase that brought the input, before any timer or further input: a burst becomes
 * one write per socket, and a lone event waits for nothing.
 * @param onFault takes what a task throws; the others run all the same
 */
export function createScheduler(onFault: (error: unknown) => void): Scheduler {
  const urgent = new Set<() => void>()
  const spare = new Set<() => void>()
  let last = new Set<() => void>()
  let isRunning = false
  let end = 0

  /** A Set's iteration includes what is added meanwhile: what a task makes due runs in this turn, too, if there is time. */
  function work(tasks: Set<() => void>): boolean {
    for (const task of tasks) {
      tasks.delete(task)
      try {
        task()
      } catch (error) {
        onFault(error)
      }
      if (performance.now() >= end) break
      if (tasks === spare && urgent.size > 0) break
    }
    return tasks.size === 0
  }
  function settle(): void {
    const tasks = last
    last = new Set()
    for (const task of tasks) task()
  }
  function run(): void {
    end = performance.now() + TURN_MS
    if (work(urgent)) settle()
    work(spare) // one at least: whoever may wait moves on, however much is due
    isRunning = urgent.size + spare.size + last.size > 0
    if (isRunning) setImmediate(run)
  }
  function start(): void {
    if (isRunning) return
    isRunning = true
    setImmediate(run)
  }

  return {
    due(task) {
      spare.delete(task)
      urgent.add(task)
      start()
    },
    spare(task) {
      if (!urgent.has(task)) spare.add(task)
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
