/** Allows a number of operations per second on average (https://en.wikipedia.org/wiki/Token_bucket), and a burst. */
export interface TokenBucket {
  /** False: the limit is exceeded. */
  take(): boolean
}

/**
 * @param rate per second
 * @param burst most at once, after a pause
 * @param now the time in ms
 */
export function createTokenBucket(
  rate: number,
  burst: number,
  now: () => number = () => performance.now(),
): TokenBucket {
  let tokens = burst
  let at = now()
  return {
    take() {
      const time = now()
      tokens = Math.min(burst, tokens + ((time - at) / 1000) * rate)
      at = time
      if (tokens < 1) return false
      tokens--
      return true
    },
  }
}
