import { comparisonOf } from './comparisons.js'
import type { Filter } from './filter.js'
import { type Key, sameKey } from './keys.js'
import { compileLike, foldCase } from './like.js'
import type { RowImage } from './row-image.js'

export type Predicate = (row: RowImage) => boolean

/** As in SQL; null is unknown. */
type Test = (row: RowImage) => boolean | null

/** The filter as a function that looks at a row image. Only true matches, unknown does not. */
export function toPredicate(filter: Filter): Predicate {
  const test = compile(filter)
  return row => test(row) === true
}

function compile(filter: Filter): Test {
  switch (filter.kind) {
    case 'and':
      return join(filter.filters.map(compile), true)
    case 'or':
      return join(filter.filters.map(compile), false)
    case 'not': {
      const test = compile(filter.filter)
      return row => {
        const result = test(row)
        return result === null ? null : !result
      }
    }
    case 'isNull': {
      const { isNull, column } = filter
      return row => row.isNull(column.name) === isNull
    }
    case 'compare':
      return compileCompare(filter)
    case 'in':
      return compileIn(filter)
    case 'like':
      return compileLikeTest(filter)
  }
}

/** AND ends at the first false, OR at the first true; else unknown if any part is. */
function join(tests: readonly Test[], neutral: boolean): Test {
  if (tests.length === 1 && tests[0]) return tests[0]
  return row => {
    let joined: boolean | null = neutral
    for (const test of tests) {
      const result = test(row)
      if (result === !neutral) return result
      if (result === null) joined = null
    }
    return joined
  }
}

function compileCompare({ column, operator, operand }: Filter & { kind: 'compare' }): Test {
  const { compare } = comparisonOf(column)
  const right = operand.key
  return onKey(column.name, comparison(operator))

  function comparison(name: typeof operator): (key: Key) => boolean {
    switch (name) {
      case 'eq':
        return key => sameKey(key, right)
      case 'neq':
        return key => !sameKey(key, right)
      case 'gt':
        return key => compare(key, right) > 0
      case 'gte':
        return key => compare(key, right) >= 0
      case 'lt':
        return key => compare(key, right) < 0
      case 'lte':
        return key => compare(key, right) <= 0
    }
  }
}

function compileIn({ column, operands, negated }: Filter & { kind: 'in' }): Test {
  // As `= any ('{}')`: not even NULL makes it unknown.
  if (operands.length === 0) return () => negated
  const keys = new Set(operands.map(({ key }) => key))
  return onKey(column.name, key => keys.has(key) !== negated)
}

function compileLikeTest({ column, pattern, ignoreCase }: Filter & { kind: 'like' }): Test {
  const fold = ignoreCase || column.category === 'citext'
  const matches = compileLike(fold ? foldCase(pattern) : pattern)
  return row => {
    const value = row.get(column.name)
    if (typeof value !== 'string') return null
    return matches?.(fold ? foldCase(value) : value) ?? null
  }
}

function onKey(name: string, test: (key: Key) => boolean): Test {
  return row => {
    const key = row.key(name)
    return key === null ? null : test(key)
  }
}
