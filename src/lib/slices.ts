/** Runs tasks in their order, in slices of time between which the event loop turns. */
export type RunSliced = (task: () => void) => void

/** Longest slice, if no single task takes longer, in ms. As in delivery/scheduler.ts. */
const SLICE_MS = 8

export function createSlices(): RunSliced {
  const tasks = new Set<() => void>()
  let isRunning = false

  function run(): void {
    const end = performance.now() + SLICE_MS
    for (const task of tasks) {
      tasks.delete(task)
      task()
      if (performance.now() >= end) break
    }
    isRunning = tasks.size > 0
    if (isRunning) setImmediate(run)
  }

  return task => {
    tasks.add(task)
    if (isRunning) return
    isRunning = true
    setImmediate(run)
  }
}
