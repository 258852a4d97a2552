/** Lets tasks that come soon after each other begin together. */
export interface Gather {
  /** Begins the task at once if the last ones began long enough ago; otherwise together with others, when they did. */
  begin(task: () => void): void
  /** Drops the tasks that wait. */
  close(): void
}

/** @param gap the shortest time from the beginning of some tasks to the next, in ms */
export function createGather(gap: number): Gather {
  let last = Number.NEGATIVE_INFINITY
  let waiting: (() => void)[] = []
  let timer: NodeJS.Timeout | undefined

  function beginAll(): void {
    timer = undefined
    last = performance.now()
    for (const task of waiting.splice(0)) task()
  }
  return {
    begin(task) {
      waiting.push(task)
      if (timer) return
      const wait = last + gap - performance.now()
      if (wait > 0) timer = setTimeout(beginAll, wait)
      else beginAll()
    },
    close() {
      clearTimeout(timer)
      waiting = []
    },
  }
}
