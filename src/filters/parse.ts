import { ListenqlError } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Column } from '../postgres/types.js'
import { badText, type Comparison, comparisonOf } from './comparisons.js'
import { COMPARISONS, type ComparisonOperator, type Filter, type Operand, type Operator } from './filter.js'
import { compileLike } from './like/like.js'
import type { Link } from './link.js'

export interface FilterLimits {
  /** How deep `and`, `or` and `not` may be nested. Default 8. */
  readonly depth?: number
  /** Most conditions in a filter (an operator with its value is one), and most items of all `and` and `or` together. Default 200. */
  readonly conditions?: number
  /** Most values of all `in` and `notIn` together. Default 1,000. */
  readonly values?: number
  /** Longest text of a value, in UTF-16 units. Default 10,000. */
  readonly length?: number
}

/** What a filter may name: columns, and relations by which it may ask for linked rows. */
export interface FilterScope {
  /** By their names in filters. */
  readonly columns: ReadonlyMap<string, Column>
  /** By their names in filters. */
  readonly relations: ReadonlyMap<string, RelatedScope>
}

/** A relation, and what may be asked of the linked rows. */
export interface RelatedScope extends FilterScope {
  readonly link: Link
  /** Whether there may be several linked rows: then the condition is `{ some: … }` or `{ none: … }`. */
  readonly isMany: boolean
}

/** The options of the server that set them. */
const OPTION_OF = {
  depth: 'maxFilterDepth',
  conditions: 'maxFilterConditions',
  values: 'maxFilterValues',
  length: 'maxFilterText',
} as const

const DEFAULTS = { depth: 8, conditions: 200, values: 1000, length: 10_000 } as const

/**
 * Parses a filter from a client: `{ and: […], or: […], not: {…}, <column>: { eq: … } }`. All members of an object must hold;
 * `{}` and `and: []` hold for every row, `or: []` and `in: []` for none. `{ <relation>: {…} }` holds if the linked row matches;
 * `{ <relation>: { some: {…} } }` if one of several does, `none` if none does.
 * @param columns by their names in filters
 * @param relations by their names in filters. Default: none
 * @throws ListenqlError FILTER_INVALID, or LIMIT_EXCEEDED, with the path of the condition and a remedy
 */
export function parseFilter(
  columns: ReadonlyMap<string, Column>,
  input: unknown,
  limits: FilterLimits = {},
  relations: ReadonlyMap<string, RelatedScope> = new Map(),
): Filter {
  return new Parser({ ...DEFAULTS, ...limits }).filter({ columns, relations }, input, 'where', 0)
}

/** The operators of a column, in the order of the documentation. */
export function operatorsOf(column: Column): readonly Operator[] {
  return comparisonOf(column).operators
}

class Parser {
  readonly #limits: Required<FilterLimits>
  #conditions = 0
  #values = 0

  constructor(limits: Required<FilterLimits>) {
    this.#limits = limits
  }

  filter(scope: FilterScope, input: unknown, path: string, depth: number): Filter {
    const { columns, relations } = scope
    const filters = entriesOf(input, path).map(([name, value]): Filter => {
      const inner = `${path}.${name}`
      if (name === 'and' || name === 'or')
        return { kind: name, filters: this.#list(scope, value, inner, depth) }
      if (name === 'not') return { kind: 'not', filter: this.#deeper(scope, value, inner, depth) }
      const column = columns.get(name)
      if (column) return all(this.#column(column, value, inner))
      const related = relations.get(name)
      if (related) return this.#related(related, value, inner, depth)
      throw invalid(inner, 'there is no such column', `columns: ${shorten(columns.keys())}`)
    })
    return all(filters)
  }

  #list(scope: FilterScope, input: unknown, path: string, depth: number): Filter[] {
    if (!Array.isArray(input)) throw invalid(path, 'is not a list of filters')
    return input.map((item: unknown, i) => {
      this.#count(path)
      return this.#deeper(scope, item, `${path}[${i}]`, depth)
    })
  }

  #deeper(scope: FilterScope, input: unknown, path: string, depth: number): Filter {
    if (depth >= this.#limits.depth)
      throw this.#over('depth', path, `is nested more than ${this.#limits.depth} deep`)
    return this.filter(scope, input, path, depth + 1)
  }

  #related(scope: RelatedScope, input: unknown, path: string, depth: number): Filter {
    const { link, isMany } = scope
    const condition = (value: unknown, inner: string, negated: boolean): Filter => {
      this.#count(inner)
      return { kind: 'related', link, negated, filter: this.#deeper(scope, value, inner, depth) }
    }
    if (!isMany) return condition(input, path, false)
    return all(
      entriesOf(input, path).map(([name, value]) => {
        if (name !== 'some' && name !== 'none')
          throw invalid(`${path}.${name}`, 'there is no such condition on rows', 'use some or none')
        return condition(value, `${path}.${name}`, name === 'none')
      }),
    )
  }

  #column(column: Column, input: unknown, path: string): Filter[] {
    const comparison = comparisonOf(column)
    return entriesOf(input, path).map(([name, value]): Filter => {
      const inner = `${path}.${name}`
      const operator = comparison.operators.find(known => known === name)
      if (!operator) {
        const type = `columns of type ${column.typeName} have no such operator`
        throw invalid(inner, type, `operators: ${comparison.operators.join(', ')}`)
      }
      this.#count(inner)
      if (value === null) throw invalid(inner, 'is null', 'use isNull: true, or leave it out')
      return this.#condition(column, comparison, operator, value, inner)
    })
  }

  #condition(
    column: Column,
    comparison: Comparison,
    operator: Operator,
    value: unknown,
    path: string,
  ): Filter {
    if (operator === 'isNull') {
      if (typeof value !== 'boolean') throw invalid(path, 'is not true or false')
      return { kind: 'isNull', column, isNull: value }
    }
    if (isComparison(operator))
      return { kind: 'compare', column, operator, operand: this.#operand(comparison, value, path) }
    if (operator === 'like' || operator === 'ilike')
      return { kind: 'like', column, pattern: this.#pattern(value, path), ignoreCase: operator === 'ilike' }
    if (!Array.isArray(value)) throw invalid(path, 'is not a list of values')
    this.#values += value.length
    if (this.#values > this.#limits.values)
      throw this.#over('values', path, `makes more than ${this.#limits.values} values in one filter`)
    const operands = value.map((item: unknown, i) => this.#operand(comparison, item, `${path}[${i}]`))
    return { kind: 'in', column, negated: operator === 'notIn', operands }
  }

  #operand(comparison: Comparison, value: unknown, path: string): Operand {
    if (value === null) throw invalid(path, 'is null', 'use isNull: true in addition')
    this.#length(value, path)
    const operand = comparison.operand(value)
    if (typeof operand === 'string') throw invalid(path, `${show(value)} ${operand}`)
    return operand
  }

  #pattern(value: unknown, path: string): string {
    this.#length(value, path)
    const problem = badText(value)
    if (problem !== undefined) throw invalid(path, `${show(value)} ${problem}`)
    const pattern = value as string
    if (!compileLike(pattern))
      throw invalid(path, 'ends in a lone backslash', 'write two backslashes for one')
    return pattern
  }

  #length(value: unknown, path: string): void {
    if (typeof value === 'string' && value.length > this.#limits.length)
      throw this.#over('length', path, `is longer than ${this.#limits.length} characters`)
  }

  #count(path: string): void {
    if (++this.#conditions > this.#limits.conditions)
      throw this.#over(
        'conditions',
        path,
        `makes more than ${this.#limits.conditions} conditions in one filter`,
      )
  }

  #over(limit: keyof FilterLimits, path: string, problem: string): LimitExceeded {
    return new LimitExceeded(OPTION_OF[limit], this.#limits[limit], `${path}: ${problem}`)
  }
}

function isComparison(operator: Operator): operator is ComparisonOperator {
  return (COMPARISONS as readonly Operator[]).includes(operator)
}

function all(filters: readonly Filter[]): Filter {
  return filters.length === 1 && filters[0] ? filters[0] : { kind: 'and', filters }
}

/** Members with the value undefined count as left out. */
function entriesOf(input: unknown, path: string): [string, unknown][] {
  if (input === null) throw invalid(path, 'is null', 'leave it out')
  if (typeof input !== 'object' || Array.isArray(input)) throw invalid(path, 'is not an object')
  return Object.entries(input).filter(([, value]) => value !== undefined)
}

function invalid(path: string, problem: string, hint?: string): ListenqlError {
  return new ListenqlError('FILTER_INVALID', `${path}: ${problem}`, hint === undefined ? {} : { hint })
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

function shorten(names: Iterable<string>): string {
  const list = [...names]
  return list.length > 20 ? `${list.slice(0, 20).join(', ')}, …` : list.join(', ')
}
