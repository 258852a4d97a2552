import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  createFilterIndex,
  createImageReader,
  type Filter,
  parseFilter,
  toPredicate,
} from '../../src/filters/index.js'
import type { Column } from '../../src/postgres/types.js'

const column = (name: string, category: Column['category']): Column => ({
  name,
  category,
  typeName: category,
  typeOid: 0,
  notNull: false,
  baseType: category,
  isArray: false,
})
const columns = [column('a', 'int4'), column('b', 'text')]
const byName = new Map(columns.map(one => [one.name, one]))
const read = createImageReader(columns)

const value = { a: fc.integer({ min: 0, max: 3 }), b: fc.constantFrom('x', 'y', 'z') }
const row = fc
  .record({ a: fc.option(value.a), b: fc.option(value.b) })
  .map(image => read(JSON.stringify(image)))
const comparisons = ['eq', 'in', 'neq', 'notIn', 'isNull'] as const
const condition = fc
  .tuple(
    fc.constantFrom('a', 'b'),
    fc.constantFrom(...comparisons),
    fc.array(value.a),
    fc.array(value.b),
    fc.boolean(),
  )
  .map(([name, operator, numbers, texts, isNull]) => {
    const values: unknown[] = name === 'a' ? [0, ...numbers] : ['x', ...texts]
    const operand =
      operator === 'isNull'
        ? isNull
        : operator === 'in' || operator === 'notIn'
          ? values.slice(1)
          : values.at(-1)
    return { [name]: { [operator]: operand } }
  })
const { where } = fc.letrec<{ where: object }>(tie => ({
  where: fc.oneof(
    { depthSize: 'small' },
    condition,
    fc.array(tie('where'), { maxLength: 3 }).map(and => ({ and })),
    fc.array(tie('where'), { maxLength: 3 }).map(or => ({ or })),
    tie('where').map(not => ({ not })),
  ),
}))
const filter = where.map(description => parseFilter(byName, description))

it('visits once each filter that a row matches, whatever was added and taken out', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ filter, stays: fc.boolean() }), { maxLength: 20 }),
      fc.array(fc.tuple(fc.option(row), fc.option(row)), { minLength: 1, maxLength: 10 }),
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

it('looks at few of many', () => {
  const index = createFilterIndex<number>()
  for (let a = 0; a < 10_000; a++) index.add(parseFilter(byName, { a: { eq: a }, b: { eq: 'open' } }), a)
  const visited: number[] = []
  index.visit(read('{"a":7,"b":"open"}'), read('{"a":8,"b":"open"}'), a => visited.push(a))
  expect(visited).toEqual([7, 8])
})
