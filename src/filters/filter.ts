import type { Column } from '../postgres/types.js'
import type { Key } from './keys.js'
import type { Link } from './link.js'

export const COMPARISONS = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte'] as const
export type ComparisonOperator = (typeof COMPARISONS)[number]
export type Operator = ComparisonOperator | 'in' | 'notIn' | 'like' | 'ilike' | 'isNull'

/** A value of a filter, in the forms for the server and for Postgres. */
export interface Operand {
  /** For the server: equal values have the same key. */
  readonly key: Key
  /** For Postgres: the parameter, to be cast to the column's type. */
  readonly text: string
}

/**
 * The one description of a filter; `toSql`, `toPredicate` and `indexKeys` are derived from it. Its logic is SQL's: true, false,
 * unknown.
 */
export type Filter =
  | { readonly kind: 'and' | 'or'; readonly filters: readonly Filter[] }
  | { readonly kind: 'not'; readonly filter: Filter }
  | { readonly kind: 'isNull'; readonly column: Column; readonly isNull: boolean }
  | {
      readonly kind: 'compare'
      readonly column: Column
      readonly operator: ComparisonOperator
      readonly operand: Operand
    }
  | {
      readonly kind: 'in'
      readonly column: Column
      readonly negated: boolean
      readonly operands: readonly Operand[]
    }
  | { readonly kind: 'like'; readonly column: Column; readonly pattern: string; readonly ignoreCase: boolean }
  | RelatedFilter

/** There is a linked row that matches, or there is none. Never unknown. Only Postgres can decide it: a row image does not show it. */
export interface RelatedFilter {
  readonly kind: 'related'
  readonly link: Link
  readonly negated: boolean
  readonly filter: Filter
}

/** Matches every row. */
export const EVERYTHING: Filter = { kind: 'and', filters: [] }
