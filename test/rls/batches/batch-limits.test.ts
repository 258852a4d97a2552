import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createBatchSizes,
  FIRST_BATCH_VIEWERS,
  MAX_BATCH_VIEWERS,
  QUICK_MS,
  quickBudget,
} from '../../../src/rls/batches/batch-limits.js'

describe('the number of viewers in a batch', () => {
  it('grows after short batches that were full, shrinks after long ones, and stays within its bounds', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ share: fc.double({ min: 0.01, max: 1, noNaN: true }), took: fc.nat(200) }),
          { maxLength: 40 }, // biome-ignore format: one array
        ),
        batches => {
          const sizes = createBatchSizes()
          expect(sizes.of('1')).toBe(FIRST_BATCH_VIEWERS)
          for (const { share, took } of batches) {
            const before = sizes.of('1')
            const viewers = Math.ceil(before * share)
            sizes.took('1', viewers, took)
            const after = sizes.of('1')
            expect(after).toBeGreaterThanOrEqual(1)
            expect(after).toBeLessThanOrEqual(MAX_BATCH_VIEWERS)
            if (took > 100) expect(after).toBeLessThanOrEqual(Math.max(1, viewers / 2))
            else if (took >= 25 || viewers < before) expect(after).toBe(before)
            else expect(after).toBeGreaterThanOrEqual(before)
          }
          expect(sizes.of('2')).toBe(FIRST_BATCH_VIEWERS)
        },
      ),
    )
  })
})

describe('the time for each viewer while others wait', () => {
  it('never grows with the number of slow viewers, and has a minimum', () => {
    expect(quickBudget(0)).toBe(QUICK_MS)
    expect([3, 4, 7, 8, 1000].map(quickBudget)).toEqual([50, 25, 25, 15, 15])
    fc.assert(
      fc.property(fc.nat(500), found => {
        expect(quickBudget(found + 1)).toBeLessThanOrEqual(quickBudget(found))
      }),
    )
  })
})
