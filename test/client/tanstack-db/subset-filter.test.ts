import { compileSingleRowExpression, IR, toBooleanPredicate } from '@tanstack/db'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Filter, subsetFilter } from '../../../src/client/tanstack-db/subset-filter.js'
import { covers, unionOf, withoutCovered } from '../../../src/client/tanstack-db/union-of.js'
import { createImageReader, parseFilter, toPredicate } from '../../../src/filters/index.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { column } from '../../support/watched-tables.js'

const { Func, PropRef, Value } = IR
const columns = [
  column('i', 'int4'),
  column('f', 'float4'),
  column('d', 'numeric'),
  column('t', 'text'),
  column('b', 'bool'),
]
const byName = new Map(columns.map(one => [one.name, one]))
const names = new Set(byName.keys())
const read = createImageReader(columns)

const call = (name: string, ...args: readonly IR.BasicExpression[]) => new Func(name, [...args])
const ref = (...path: string[]) => new PropRef(path)
const val = (value: unknown) => new Value(value)

// Values that Postgres and JavaScript compare differently.
const stored = {
  i: [0, 1, 2, 10],
  f: [0, 1.9, 2.5, 16_777_216],
  d: ['1.5', '1.50', '2', '10', '9'],
  t: ['a', 'A', 'b', 'ab', 'a_', '1.5', '2', '\u{1f600}', '\uffff', '\\a', ''],
  b: [true, false],
} as const
type Name = keyof typeof stored
const asked: Readonly<Record<Name, readonly unknown[]>> = {
  i: [...stored.i, 1.5, '1', -1],
  f: [...stored.f, 1.8999999999, 1.9000000001, 16_777_217],
  d: [...stored.d, 1.5, 2, '02'],
  t: [...stored.t, 'a%', '%', '_', '__', '\\%', 2],
  b: [true, false],
}
const anyRow = fc.record(
  Object.fromEntries(
    Object.entries(stored).map(([name, values]) => [name, fc.option(fc.constantFrom<unknown>(...values))]),
  ),
)
const anyLeaf = fc
  .tuple(
    fc.constantFrom(...(Object.keys(stored) as Name[])),
    fc.constantFrom('eq', 'eq', 'gt', 'gte', 'lt', 'lte', 'in', 'isNull', 'like', 'ilike', 'isUndefined'),
    fc.boolean(),
    fc.nat(),
    fc.array(fc.nat(), { maxLength: 3 }),
  )
  .map(([name, operator, isFlipped, one, several]) => {
    const operand = (n: number) => [...asked[name], null, undefined][n % (asked[name].length + 2)]
    if (operator.startsWith('is')) return call(operator, ref(name))
    if (operator === 'in') return call(operator, ref(name), val(several.map(operand)))
    if (isFlipped && operator.length < 4) return call(operator, val(operand(one)), ref(name))
    return call(operator, ref(name), val(operand(one)))
  })
const { expression: anyExpression } = fc.letrec<{ expression: IR.BasicExpression }>(tie => ({
  expression: fc.oneof(
    { depthSize: 'small' },
    anyLeaf,
    fc.array(tie('expression'), { minLength: 1, maxLength: 3 }).map(args => call('and', ...args)),
    fc.array(tie('expression'), { minLength: 1, maxLength: 3 }).map(args => call('or', ...args)),
    tie('expression').map(inner => call('not', inner)),
  ),
}))

/** The server's decision on a row; undefined if it refuses the filter. */
function serverMatches(filter: Filter, row: object): boolean | undefined {
  try {
    return toPredicate(parseFilter(byName, withTexts(filter)))(read(JSON.stringify(row)))
  } catch (error) {
    if (error instanceof ListenqlError) return undefined
    throw error
  }
}

/** As the scalar `Decimal` reads numbers. */
function withTexts(filter: Filter): Filter {
  return JSON.parse(JSON.stringify(filter), (key, value) =>
    key === 'd'
      ? JSON.parse(JSON.stringify(value), (_, item) => (typeof item === 'number' ? String(item) : item))
      : value,
  )
}

const isTrue = (expression: IR.BasicExpression, row: object) =>
  toBooleanPredicate(compileSingleRowExpression(expression)(row as Record<string, unknown>))

describe('a filter that the server accepts', () => {
  it('matches every row for which the predicate is true', () => {
    let decided = 0
    fc.assert(
      fc.property(anyExpression, fc.array(anyRow, { minLength: 5, maxLength: 5 }), (expression, rows) => {
        const filter = subsetFilter(expression, names)
        for (const row of filter ? rows.filter(one => isTrue(expression, one)) : []) {
          const matches = serverMatches(filter as Filter, row)
          if (matches !== undefined) decided++
          expect(matches).not.toBe(false)
        }
      }),
      { numRuns: 5000 },
    )
    expect(decided).toBeGreaterThan(1000)
  })

  it('matches the rows of each of several filters, and no others, as their union', () => {
    const anyFilter = anyExpression.map(expression => subsetFilter(expression, names))
    fc.assert(
      fc.property(fc.array(anyFilter, { minLength: 1, maxLength: 4 }), anyRow, (all, row) => {
        const filters = all.filter(filter => filter !== undefined)
        const each = filters.map(filter => serverMatches(filter, row))
        fc.pre(filters.length > 0 && !each.includes(undefined))
        expect(serverMatches(unionOf(filters), row)).toBe(each.includes(true))
      }),
    )
  })

  it('covers another one only if it matches all of its rows, and the others cover all that are left out', () => {
    let covered = 0
    const anyFilter = anyExpression.map(expression => subsetFilter(expression, names))
    fc.assert(
      fc.property(anyFilter, anyExpression, anyFilter, anyRow, (first, expression, third, row) => {
        const filters = [first, first && { and: [first, subsetFilter(expression, names) ?? {}] }, third]
        fc.pre(filters.every(filter => filter && serverMatches(filter, row) !== undefined))
        const matches = (filter: Filter | undefined) => serverMatches(filter as Filter, row) === true
        for (const outer of filters) {
          for (const inner of filters) {
            if (outer === inner || !covers(outer, inner)) continue
            covered++
            if (matches(inner)) expect(matches(outer)).toBe(true)
          }
        }
        expect(withoutCovered(filters).some(matches)).toBe(filters.some(matches))
      }),
    )
    expect(covered).toBeGreaterThan(20)
    expect(covers(undefined, { i: { eq: 1 } })).toBe(true)
    expect(covers({ i: { eq: 1 } }, undefined)).toBe(false)
    expect(withoutCovered([{ i: { eq: 1 } }, undefined, { t: { eq: 'a' } }])).toEqual([undefined])
  })
})

it.each<[string, IR.BasicExpression, Filter | undefined]>([
  ['equality', call('eq', ref('t'), val('a')), { t: { eq: 'a' } }],
  ['a flipped comparison', call('lt', val(5), ref('i')), { i: { gte: 5 } }],
  ['a comparison with nothing, which is never true', call('eq', ref('i'), val(undefined)), { or: [] }],
  ['a list, without nulls', call('in', ref('i'), val([1, null, 2])), { i: { in: [1, 2] } }],
  [
    'a negated condition on a boolean',
    call('not', call('eq', ref('b'), val(true))),
    { not: { b: { eq: true } } },
  ],
  ['a negated equality of texts: whole', call('not', call('eq', ref('t'), val('a'))), undefined],
  ['the order of texts: whole', call('gt', ref('t'), val('a')), undefined],
  ['a function: whole', call('eq', call('upper', ref('t')), val('A')), undefined],
  ['a field within a column: whole', call('eq', ref('t', 'x'), val('A')), undefined],
  ['a column that the collection does not have: whole', call('isNull', ref('z')), undefined],
  ['two columns: whole', call('eq', ref('i'), ref('f')), undefined],
  [
    'and, of what is translatable',
    call('and', call('gt', ref('t'), val('a')), call('eq', ref('i'), val(1))),
    { i: { eq: 1 } },
  ],
  [
    'or, if all is translatable',
    call('or', call('gt', ref('t'), val('a')), call('eq', ref('i'), val(1))),
    undefined,
  ],
])('%s', (_, expression, filter) => {
  expect(subsetFilter(expression, names)).toEqual(filter)
})

it('the values of one column become one list in a union', () => {
  const filters = [{ i: { eq: 1 } }, { t: { eq: 'a' } }, { i: { in: [2, 1] } }, { b: { isNull: true } }]
  expect(unionOf(filters)).toEqual({
    or: [{ i: { in: [1, 2] } }, { t: { in: ['a'] } }, { b: { isNull: true } }],
  })
})
