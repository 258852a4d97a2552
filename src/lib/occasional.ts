/** Most keys that are remembered; beyond that all are forgotten. */
const MAX_KEYS = 1000

/**
 * Decides whether an event deserves a line in the log: the first time, and again once `interval` has passed since the last line about
 * the same key.
 * @param interval in ms
 */
export function createOccasional(interval: number, now: () => number = Date.now): (key: string) => boolean {
  const last = new Map<string, number>()
  return key => {
    const time = now()
    if (time - (last.get(key) ?? Number.NEGATIVE_INFINITY) < interval) return false
    if (last.size >= MAX_KEYS) last.clear()
    last.set(key, time)
    return true
  }
}
