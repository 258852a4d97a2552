/** Collects tasks during one turn of the event loop and runs each once, after the turn's input has been read. */
export interface Scheduler {
  /** Runs `task` at the end of this turn; a task that is already due is not run twice. */
  due(task: () => void): void
  /** Runs `task` in the time that is left after the due tasks: for work that can wait, as for a subscriber that catches up. */
  spare(task: () => void): void
  /** Whether the time of this turn is used up. A task with more to do then makes itself due again. */
  readonly isOver: boolean
  /** Runs `task` once no task is due, which may take several turns. */
  afterwards(task: () => void): void
}

/** How long tasks may run in one turn, in ms. Between turns Node reads sockets and runs timers. */
const TURN_MS = 8
/** How long spare tasks may run in every turn, in ms. */
const LEAST_SPARE_MS = 1

/**
 * `setImmediate` runs right after the poll phase that has read the input, before any timer and before further input. So a burst
 * becomes one write per socket, and a lone event is not delayed.
 * @param onFault receives the error that a task throws; the other tasks still run
 */
export function createScheduler(onFault: (error: unknown) => void): Scheduler {
  const urgent = new Set<() => void>()
  const spare = new Set<() => void>()
  let last = new Set<() => void>()
  let isRunning = false
  let end = 0

  /** Iteration over a Set includes elements that are added meanwhile: a task that becomes due runs in this turn if there is time. */
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
    // However much is due: a spare task that stops when the turn is over gets some time, too.
    end = Math.max(end, performance.now() + LEAST_SPARE_MS)
    work(spare)
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
