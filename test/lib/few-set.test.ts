import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FewSet } from '../../src/lib/few-set.js'

const values = Array.from({ length: 4 }, (_, id) => ({ id }))

it('a FewSet behaves like a Set', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('add', 'delete'), fc.constantFrom(...values))), steps => {
      const few = new FewSet<object>()
      const set = new Set<object>()
      for (const [step, value] of steps) {
        if (step === 'add') {
          few.add(value)
          set.add(value)
        } else expect(few.delete(value)).toBe(set.delete(value))
        expect([...few]).toEqual([...set])
      }
    }),
  )
})
