import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FewSet } from '../../../src/lib/collections/few-set.js'

const values = Array.from({ length: 4 }, (_, id) => ({ id }))
const step = fc.oneof(
  fc.tuple(fc.constantFrom('add' as const, 'delete' as const), fc.constantFrom(...values)),
  fc.constant(['clear' as const, { id: -1 }] as const),
)

it('a FewSet behaves like a Set', () => {
  fc.assert(
    fc.property(fc.array(step), steps => {
      const few = new FewSet<object>()
      const set = new Set<object>()
      for (const [what, value] of steps) {
        if (what === 'add') {
          few.add(value)
          set.add(value)
        } else if (what === 'clear') {
          few.clear()
          set.clear()
        } else expect(few.delete(value)).toBe(set.delete(value))
        expect([...few]).toEqual([...set])
        expect(few.size).toBe(set.size)
        expect(few.only ? [few.only] : [...few.many]).toEqual([...set])
      }
    }),
  )
})

it('an iteration of many values reaches those that are added meanwhile', () => {
  const few = new FewSet<object>()
  for (const value of values.slice(0, 2)) few.add(value)
  const seen: object[] = []
  for (const value of few.many) {
    seen.push(value)
    few.add(values[2] as object)
  }
  expect(seen).toEqual(values.slice(0, 3))
})
