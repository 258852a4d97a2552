/** Lets so many through each second on average (https://en.wikipedia.org/wiki/Token_bucket), and some at once. */
export interface TokenBucket {
  /** False: there were too many. */
  take(): boolean
}

/**
 * @param rate for each second
 * @param burst most at once, after a rest
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
