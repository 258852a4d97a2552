import { expect, it } from 'vitest'
import { metricsTables } from './metrics-table.js'

it('docs/operations.md has every metric with its type, labels and meaning: npm run docs', () => {
  const { present, fresh } = metricsTables()
  expect(present).toBe(fresh)
})
