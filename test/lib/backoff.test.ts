import fc from 'fast-check'
import { expect, it } from 'vitest'
import { backoffDelay } from '../../src/lib/backoff.js'

it('the pause doubles, is capped, and keeps at least half of its length', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 100, max: 60_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempt, cap, random) => {
        const full = Math.min(cap, 100 * 2 ** (attempt - 1))
        const delay = backoffDelay(attempt, cap, 100, () => random)
        expect(delay).toBeGreaterThanOrEqual(Math.floor(full / 2))
        expect(delay).toBeLessThanOrEqual(Math.ceil(full))
      },
    ),
  )
})
