/** Collects what happens in one turn of the event loop, and acts on it once, when the turn's input has been taken. */
export interface Turn {
  /** Runs `task` at the end of this turn; a task that is already due is not run twice. */
  due(task: () => void): void
}

/**
 * `setImmediate` runs right after the poll phase that brought the input, before any timer or further input: a burst becomes
 * one write per socket, and a lone event waits for nothing.
 * @param onFault takes what a task throws; the others run all the same
 */
export function createTurn(onFault: (error: unknown) => void): Turn {
  const tasks = new Set<() => void>()
  const run = () => {
    // A Set's iteration includes what is added meanwhile: what a task makes due runs in this turn, too.
    for (const task of tasks) {
      tasks.delete(task)
      try {
        task()
      } catch (error) {
        onFault(error)
      }
    }
  }
  return {
    due(task) {
      if (tasks.size === 0) setImmediate(run)
      tasks.add(task)
    },
  }
}
