import type { IR } from '@tanstack/db'

/** The condition of `where`, as in GraphQL. */
export type Filter = { readonly [name: string]: unknown }

interface Translation {
  readonly filter: Filter
  /** Whether the filter is also false and unknown for the same rows, so that it can be negated. */
  readonly isExact: boolean
}

const NOTHING: Translation = { filter: { or: [] }, isExact: false }
const FLIPPED = { eq: 'eq', gt: 'lt', gte: 'lte', lt: 'gt', lte: 'gte' } as const

/**
 * Translates a predicate of TanStack DB into a filter that every row matches for which the predicate is true; TanStack DB applies
 * the predicate itself to the rows that arrive. Parts for which Postgres might disagree with JavaScript are left out: the order of
 * texts, case, functions, and the negation of what may be equal in Postgres only, such as '1.50' and '1.5' in a `numeric`.
 *
 * @param columns the columns of the collection
 * @returns undefined if every row may match
 */
export function subsetFilter(
  predicate: IR.BasicExpression | undefined,
  columns: ReadonlySet<string>,
): Filter | undefined {
  return predicate && translate(predicate)?.filter

  function translate(expression: IR.BasicExpression): Translation | undefined {
    if (expression.type === 'val') return expression.value === true ? undefined : NOTHING
    if (expression.type === 'ref') return undefined
    const { name, args } = expression
    const [left, right] = args
    if (name === 'and') return conjunction(args.map(translate))
    if (name === 'or') return disjunction(args.map(translate))
    if (name === 'not') return negation(left && translate(left))
    if (name === 'isNull') return compare(columnOf(left), 'isNull', true, true)
    if (name === 'in') return membership(columnOf(left), right)
    if (name === 'like') return pattern(columnOf(left), right)
    if (!isComparison(name)) return undefined
    return right?.type === 'val'
      ? comparison(columnOf(left), name, right.value)
      : left?.type === 'val'
        ? comparison(columnOf(right), FLIPPED[name], left.value)
        : undefined
  }

  /** A column itself: not a field within a JSON column, nor a property that TanStack DB adds. */
  function columnOf(expression: IR.BasicExpression | undefined): string | undefined {
    if (expression?.type !== 'ref' || expression.path.length !== 1) return undefined
    const [column = ''] = expression.path
    return columns.has(column) ? column : undefined
  }
}

function conjunction(parts: readonly (Translation | undefined)[]): Translation | undefined {
  const known = parts.filter(part => part !== undefined)
  const isExact = known.length === parts.length && known.every(part => part.isExact)
  if (known.length <= 1) return known[0] && { ...known[0], isExact }
  return { filter: { and: known.map(({ filter }) => filter) }, isExact }
}

function disjunction(parts: readonly (Translation | undefined)[]): Translation | undefined {
  const known = parts.filter(part => part !== undefined)
  if (known.length < parts.length) return undefined
  return { filter: { or: known.map(({ filter }) => filter) }, isExact: known.every(part => part.isExact) }
}

function negation(inner: Translation | undefined): Translation | undefined {
  return inner?.isExact ? { filter: { not: inner.filter }, isExact: true } : undefined
}

function compare(column: string | undefined, operator: string, operand: unknown, isExact = false) {
  return column === undefined ? undefined : { filter: { [column]: { [operator]: operand } }, isExact }
}

function comparison(
  column: string | undefined,
  operator: keyof typeof FLIPPED,
  operand: unknown,
): Translation | undefined {
  if (operand === null || operand === undefined) return NOTHING // unknown for every row
  if (operator === 'eq') {
    return isOperand(operand) ? compare(column, 'eq', operand, typeof operand === 'boolean') : undefined
  }
  if (!isNumber(operand)) return undefined
  // Postgres rounds the operand where the column is `real`, so that different numbers may be equal.
  return compare(column, operator === 'gt' ? 'gte' : operator === 'lt' ? 'lte' : operator, operand)
}

function membership(
  column: string | undefined,
  list: IR.BasicExpression | undefined,
): Translation | undefined {
  if (list?.type !== 'val' || !Array.isArray(list.value)) return undefined
  const operands: readonly unknown[] = list.value.filter(item => item !== null && item !== undefined)
  return operands.every(isOperand) ? compare(column, 'in', operands) : undefined
}

/** TanStack DB has no escape character, and its `_` is a UTF-16 code unit. */
function pattern(column: string | undefined, text: IR.BasicExpression | undefined): Translation | undefined {
  if (text?.type !== 'val' || typeof text.value !== 'string' || /[_\\]/.test(text.value)) return undefined
  return compare(column, 'like', text.value)
}

function isComparison(name: string): name is keyof typeof FLIPPED {
  return Object.hasOwn(FLIPPED, name)
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isOperand(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || isNumber(value)
}
