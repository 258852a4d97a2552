import { comparisonOf } from './comparisons.js'
import type { Filter } from './filter.js'
import { type Key, sameKey } from './keys.js'
import { compileLike, foldCase } from './like/like.js'
import type { RowImage } from './row-image.js'
import { type Unreadable, unreadableWords } from './unreadable.js'
import { Work } from './work.js'

/**
 * @param work counts the steps. Default: not counted
 * @throws LimitExceeded if it exceeds the limit of work; Undecided if the result depends on an unreadable value
 */
export type Predicate = (row: RowImage, work?: Work) => boolean

/** Whether a row matches depends on an unreadable value in it. */
export class Undecided extends Error {
  /** The column's name in the table. */
  readonly column: string
  readonly reason: Unreadable

  constructor(column: string, reason: Unreadable) {
    super(`the value of column ${column} ${unreadableWords(reason)}`)
    this.column = column
    this.reason = reason
  }
}

/** As in SQL; null is unknown. */
type Test = (row: RowImage, work: Work) => boolean | null

/** Comparing texts in order takes a step for this many units. */
const UNITS_PER_STEP = 4

/** The filter as a function of a row image. Only true matches, unknown does not. */
export function toPredicate(filter: Filter): Predicate {
  const test = compile(filter)
  return (row, work = new Work()) => test(row, work) === true
}

function compile(filter: Filter): Test {
  switch (filter.kind) {
    case 'and':
      return join(filter.filters.map(compile), true)
    case 'or':
      return join(filter.filters.map(compile), false)
    case 'not': {
      const test = compile(filter.filter)
      return (row, work) => {
        const result = test(row, work)
        return result === null ? null : !result
      }
    }
    case 'isNull': {
      const { isNull, column } = filter
      return (row, work) => {
        work.take(1)
        return row.isNull(column.name) === isNull
      }
    }
    case 'compare':
      return compileCompare(filter)
    case 'in':
      return compileIn(filter)
    case 'like':
      return compileLikeTest(filter)
    case 'related':
      throw new TypeError('a row image does not show linked rows')
  }
}

/** AND ends at the first false, OR at the first true; else unknown if any part is. */
function join(tests: readonly Test[], neutral: boolean): Test {
  if (tests.length === 1 && tests[0]) return tests[0]
  return (row, work) => {
    let joined: boolean | null = neutral
    for (const test of tests) {
      const result = test(row, work)
      if (result === !neutral) return result
      if (result === null) joined = null
    }
    return joined
  }
}

function compileCompare({ column, operator, operand }: Filter & { kind: 'compare' }): Test {
  const { compare } = comparisonOf(column)
  const right = operand.key
  return onKey(
    column.name,
    lengthOf(right),
    comparison(operator),
    operator === 'eq' ? false : operator === 'neq' ? true : null,
  )

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
  // Like `= any ('{}')`: not even NULL makes it unknown.
  if (operands.length === 0) return () => negated
  const keys = new Set(operands.map(({ key }) => key))
  const longest = operands.reduce((length, { key }) => Math.max(length, lengthOf(key)), 0)
  return onKey(column.name, longest, key => keys.has(key) !== negated, negated)
}

function lengthOf(key: Key): number {
  return typeof key === 'string' ? key.length : 0
}

function compileLikeTest({ column, pattern, ignoreCase }: Filter & { kind: 'like' }): Test {
  const fold = ignoreCase || column.category === 'citext'
  const matches = compileLike(fold ? foldCase(pattern) : pattern)
  return (row, work) => {
    const value = fold ? row.folded(column.name) : row.get(column.name)
    if (typeof value !== 'string') return withoutValue(row, column.name, null)
    return matches?.(value, work) ?? null
  }
}

/**
 * @param length of the longest text that values are compared with, beyond which a longer one is not scanned
 * @param ifUnreadable the result for an unreadable value; null: it is undecided
 */
function onKey(
  name: string,
  length: number,
  test: (key: Key) => boolean,
  ifUnreadable: boolean | null,
): Test {
  return (row, work) => {
    const key = row.key(name)
    work.take(typeof key === 'string' ? 1 + Math.min(key.length, length) / UNITS_PER_STEP : 1)
    return key === null ? withoutValue(row, name, ifUnreadable) : test(key)
  }
}

/** An unreadable value is not NULL, and not equal to any operand: operands are valid text, and far smaller. */
function withoutValue(row: RowImage, name: string, ifUnreadable: boolean | null): boolean | null {
  const reason = row.unreadable(name)
  if (reason === undefined) return null
  if (ifUnreadable === null) throw new Undecided(name, reason)
  return ifUnreadable
}
