/** Allows a number of operations per second on average (https://en.wikipedia.org/wiki/Token_bucket), and a burst. */
export class TokenBucket {
  #tokens: number
  #at: number

  /**
   * @param burst how many at once
   * @param now the time in ms
   */
  constructor(burst: number, now: number = performance.now()) {
    this.#tokens = burst
    this.#at = now
  }

  /**
   * @param rate how many per second; it may change
   * @param burst how many at once, after a pause; it may change
   * @param now the time in ms
   * @returns false: the limit is exceeded
   */
  take(rate: number, burst: number, now: number = performance.now()): boolean {
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * rate)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
