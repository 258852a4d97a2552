import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Counted, createTally } from '../../src/lib/tally.js'

it('a tally has room for as many things of each key as the limit, which may change', () => {
  const step = fc.tuple(fc.constantFrom('take', 'release', 'limit'), fc.constantFrom('a', 'b'), fc.nat(3))
  fc.assert(
    fc.property(fc.array(step), steps => {
      let max = 2
      const tally = createTally(() => max)
      const open: Counted[] = []
      for (const [what, key, number] of steps) {
        if (what === 'limit') max = number
        else if (what === 'take') {
          const counted = tally.take(key)
          expect(counted !== undefined).toBe(open.filter(each => each.key === key).length < max)
          if (counted) open.push(counted)
        } else {
          const [released] = open.splice(number % Math.max(1, open.length), 1)
          if (released) tally.release(released)
        }
      }
    }),
  )
})
