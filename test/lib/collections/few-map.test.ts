import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FewMap } from '../../../src/lib/collections/few-map.js'

const key = fc.constantFrom('', 'a', 'b', '__proto__', 'constructor')

it('a FewMap behaves like a Map', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('set', 'delete'), key, fc.nat(3))), steps => {
      const few = new FewMap<number>()
      const map = new Map<string, number>()
      for (const [what, key, value] of steps) {
        if (what === 'set') {
          few.set(key, value)
          map.set(key, value)
        } else {
          few.delete(key)
          map.delete(key)
        }
        expect(few.size).toBe(map.size)
        expect([few.keys(), few.values()]).toEqual([[...map.keys()], [...map.values()]])
        for (const each of ['', 'a', 'b', '__proto__', 'constructor'])
          expect(few.get(each)).toBe(map.get(each))
      }
    }),
  )
})
