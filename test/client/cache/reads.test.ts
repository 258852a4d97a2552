import { expect, it } from 'vitest'
import { createReads } from '../../../src/client/cache/reads.js'

const row = { pk: 1, name: 'Ada' }

it('keeps a list without filter and order when reads are added', () => {
  const list = createReads()
  list.shows('People', 'Query.people')
  const seen = createReads()
  seen.add(list)
  expect([...seen.types]).toEqual(['People'])
  const change = { key: { pk: 1 }, transaction: '1' }
  expect(seen.isDecidedBy('People', { ...change, operation: 'INSERT', row, old: null })).toBe(true)
  expect(seen.isDecidedBy('People', { ...change, operation: 'DELETE', row: null, old: row })).toBe(true)
  expect(seen.isDecidedBy('People', { ...change, operation: 'UPDATE', row, old: row })).toBe(false)
})
