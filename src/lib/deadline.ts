/** Longest step of a timer, in ms: after it, a changed clock or a machine that slept is noticed. Node's own limit is 24.8 days. */
const MAX_STEP_MS = 60_000

/**
 * Calls back once the wall clock shows `at` (ms since 1970); soon, if it is later already.
 * @returns cancels it
 */
export function atTime(at: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = () => {
    const left = at - Date.now()
    if (left <= 0) {
      timer = setTimeout(callback, 0)
      return
    }
    timer = setTimeout(wait, Math.min(left, MAX_STEP_MS))
    timer.unref()
  }
  wait()
  return () => clearTimeout(timer)
}
