import { expect, it } from 'vitest'
import { chartSchema } from './chart-options.js'

it('the schema of the chart has every option with its type: npm run docs', () => {
  const { present, fresh } = chartSchema()
  expect(present).toBe(fresh)
})
