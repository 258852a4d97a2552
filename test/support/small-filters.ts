import fc from 'fast-check'
import { createImageReader, type Filter, parseFilter, type RowImage } from '../../src/filters/index.js'
import { column } from './watched-tables.js'

// Arbitrary rows and filters of a table (a int4, b text), with so few values that many filters match.

const columns = [column('a', 'int4'), column('b', 'text')]
const byName = new Map(columns.map(one => [one.name, one]))

/** Returns the row of a JSON text. */
export const readRow = createImageReader(columns)

/** @param where the filter as a client sends it */
export const toFilter = (where: object): Filter => parseFilter(byName, where)

const value = { a: fc.integer({ min: 0, max: 3 }), b: fc.constantFrom('x', 'y', 'z') }

export const anyRow: fc.Arbitrary<RowImage> = fc
  .record({ a: fc.option(value.a), b: fc.option(value.b) })
  .map(image => readRow(JSON.stringify(image)))

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
    { depthSize: 'small', maxDepth: 6 }, // eight are allowed
    condition,
    fc.array(tie('where'), { maxLength: 3 }).map(and => ({ and })),
    fc.array(tie('where'), { maxLength: 3 }).map(or => ({ or })),
    tie('where').map(not => ({ not })),
  ),
}))

export const anyFilter: fc.Arbitrary<Filter> = where.map(toFilter)
