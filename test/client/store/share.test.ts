import fc from 'fast-check'
import { expect, it } from 'vitest'
import { share } from '../../../src/client/store/share.js'

const value = fc.jsonValue({ maxDepth: 3 })
const copy = <T>(of: T): T => JSON.parse(JSON.stringify(of))

it('the result equals the next value', () => {
  fc.assert(
    fc.property(value, value, (previous, next) => {
      expect(share(previous, copy(next))).toEqual(copy(next))
    }),
  )
})

it('an equal value is the previous one', () => {
  fc.assert(
    fc.property(value, previous => {
      const shared = copy(previous)
      expect(share(shared, copy(previous))).toBe(shared)
    }),
  )
})

it('equal parts keep their identity, in lists wherever they are', () => {
  const previous = {
    rows: [
      { id: 1, tags: ['a'] },
      { id: 2, tags: ['b'] },
    ],
    total: { count: 2 },
  }
  const next = {
    rows: [
      { id: 3, tags: [] },
      { id: 2, tags: ['b'] },
      { id: 1, tags: ['a'] },
    ],
    total: { count: 2 },
  }
  const shared = share(previous, next)
  expect(shared).toEqual(next)
  expect(shared.rows[1]).toBe(previous.rows[1])
  expect(shared.rows[2]).toBe(previous.rows[0])
  expect(shared.total).toBe(previous.total)
})

it('neither value is changed', () => {
  const previous = Object.freeze({ a: Object.freeze([1, 2]) })
  const next = Object.freeze({ a: Object.freeze([1, 3]), b: null })
  expect(share(previous, next)).toEqual({ a: [1, 3], b: null })
})
