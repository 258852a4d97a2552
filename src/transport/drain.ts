import type { Connections } from './connections.js'

/** Between two turns in which connections are ended, in ms. */
const TURN_MS = 20

/**
 * Ends the connections of clients one after the other, the oldest first, spread evenly over a time: their clients connect to other
 * servers at once, which would otherwise get all of them in the same second. Clients that connect meanwhile are served, and end last.
 * @param duration in ms
 * @returns resolves when the time is over, also if no connection is left: a balancer may still send clients
 */
export function drainConnections(
  connections: Pick<Connections, 'size' | 'endOldest'>,
  duration: number,
): Promise<void> {
  const began = performance.now()
  let before = began
  /** Connections that should have been ended by now, less those that were: below 1 after each turn. */
  let due = 0
  return new Promise(resolve => {
    const timer = setInterval(() => {
      const now = performance.now()
      const left = began + duration - before
      // The share of the time that is left, so that the rate follows the number of clients: some leave, others come.
      due += connections.size * Math.min(1, (now - before) / left)
      before = now
      const count = Math.floor(due)
      due -= count
      connections.endOldest(count)
      if (now - began < duration) return
      clearInterval(timer)
      resolve()
    }, TURN_MS)
  })
}
