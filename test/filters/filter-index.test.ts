import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createFilterIndex, type Filter, toPredicate } from '../../src/filters/index.js'
import { anyFilter, anyRow, readRow, toFilter } from '../support/small-filters.js'

it('the index visits each filter that a row matches once, after any additions and removals', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ filter: anyFilter, stays: fc.boolean() }), { maxLength: 20 }),
      fc.array(fc.tuple(fc.option(anyRow), fc.option(anyRow)), { minLength: 1, maxLength: 10 }),
      (entries, events) => {
        const index = createFilterIndex<Filter>()
        const takeOut = entries.map(entry => index.add(entry.filter, entry.filter))
        for (const [i, { stays }] of entries.entries()) if (!stays) takeOut[i]?.()
        const kept = entries.filter(({ stays }) => stays).map(entry => entry.filter)
        for (const [now, old] of events) {
          const visited: Filter[] = []
          index.visit(now, old, one => visited.push(one))
          expect(new Set(visited).size).toBe(visited.length)
          expect(kept).toEqual(expect.arrayContaining(visited))
          for (const one of kept) {
            const matches = toPredicate(one)
            if ((now && matches(now)) || (old && matches(old))) expect(visited).toContain(one)
          }
        }
      },
    ),
  )
})

it('the index visits few of many filters', () => {
  const index = createFilterIndex<number>()
  for (let a = 0; a < 10_000; a++) index.add(toFilter({ a: { eq: a }, b: { eq: 'open' } }), a)
  const visited: number[] = []
  index.visit(readRow('{"a":7,"b":"open"}'), readRow('{"a":8,"b":"open"}'), a => visited.push(a))
  expect(visited).toEqual([7, 8])
})
