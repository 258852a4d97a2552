/**
 * Delay before retry number `attempt` (1, 2, …) in ms: doubles from `base` up to `cap`, then half of it is drawn at random,
 * so that many clients of one restarted server do not come back in step (AWS Architecture Blog, "Exponential Backoff And
 * Jitter": equal jitter).
 */
export function backoffDelay(
  attempt: number,
  cap: number,
  base = 100,
  random: () => number = Math.random,
): number {
  const full = Math.min(cap, base * 2 ** Math.min(attempt - 1, 30))
  return Math.round(full / 2 + (random() * full) / 2)
}
