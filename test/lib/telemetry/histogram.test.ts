import { expect, it } from 'vitest'
import { Histogram } from '../../../src/lib/telemetry/histogram.js'

it('a value counts in the first range whose bound it does not exceed', () => {
  const histogram = new Histogram([1, 5])
  for (const value of [0, 1, 1.1, 5, 6]) histogram.record(value)
  expect(histogram).toMatchObject({ counts: [2, 2, 1], sum: 13.1, count: 5 })
})

it('equal values may be recorded together', () => {
  const histogram = new Histogram([1])
  histogram.record(0.5, 4)
  expect(histogram).toMatchObject({ counts: [4, 0], sum: 2, count: 4 })
})
