import { expect, it } from 'vitest'
import { TokenBucket } from '../../../src/lib/limits/token-bucket.js'

it('a bucket allows a burst, then the rate, and fills up to the burst only', () => {
  const bucket = new TokenBucket(3, 0)
  const take = (now: number, rate = 10, burst = 3) => bucket.take(rate, burst, now)
  expect([take(0), take(0), take(0), take(0)]).toEqual([true, true, true, false])
  expect([take(99), take(100), take(150), take(200)]).toEqual([false, true, false, true])
  expect([take(1e6), take(1e6), take(1e6), take(1e6)]).toEqual([true, true, true, false])
  // Another rate and burst apply from the next operation on.
  expect([take(1e6 + 10, 100), take(1e6 + 20, 100, 1), take(1e6 + 20, 100, 1)]).toEqual([true, true, false])
})
