/**
 * Delay before retry number `attempt` (1, 2, …) in ms: it doubles from `base` up to `cap`; half of it is random, so that the clients
 * of a restarted server do not reconnect at the same time (AWS Architecture Blog, "Exponential Backoff And Jitter": equal jitter).
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
