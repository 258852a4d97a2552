import { bareType, type Column, isList, isNewestFirst, type WatchedTable } from './watched-table.js'

/** What a filter can compare with, in words; the keys are the operators of `where`. */
export const OPERATORS = {
  eq: 'is',
  neq: 'is not',
  gt: 'is greater than',
  gte: 'is at least',
  lt: 'is less than',
  lte: 'is at most',
  in: 'is one of',
  notIn: 'is none of',
  like: 'is like',
  ilike: 'is like, ignoring case',
  isNull: 'is null',
} as const

export type Operator = keyof typeof OPERATORS

/** One condition of the filter. */
export interface Condition {
  readonly field: string
  readonly operator: Operator
  /** As typed; a list is separated by commas. For `isNull`, `true` or `false`. */
  readonly value: string
}

/** The order of the rows, by one column. */
export interface Order {
  readonly field: string
  readonly isDescending: boolean
}

/** How many rows are shown at a time; `all` of them are followed change by change. */
export type PageSize = 10 | 50 | 100 | 500 | 'all'

export const PAGE_SIZES: readonly PageSize[] = [10, 50, 100, 500, 'all']

/** Which rows of a table are shown. */
export interface View {
  readonly conditions: readonly Condition[]
  /** Undefined: by key, the greatest first if keys grow. */
  readonly order: Order | undefined
  readonly size: PageSize
  /** From 0. */
  readonly page: number
}

export const FIRST_VIEW: View = { conditions: [], order: undefined, size: 100, page: 0 }

/** The operators that `where` has for a column: JSON and lists can only be null, and only texts have patterns. */
export function operatorsOf(column: Pick<Column, 'type'>): readonly Operator[] {
  const type = bareType(column)
  if (isList(column) || type === 'JSON') return ['isNull']
  const all = Object.keys(OPERATORS) as Operator[]
  return type === 'String' ? all : all.filter(operator => !operator.endsWith('like'))
}

/** Whether rows can be sorted by a column. */
export const isSortable = (column: Pick<Column, 'type'>) => operatorsOf(column).includes('lt')

/** The order in which the rows are, also where the user has chosen none. */
export function orderOf(
  table: Pick<WatchedTable, 'key' | 'columns'>,
  view: Pick<View, 'order'>,
): Order | undefined {
  if (view.order) return view.order
  const [first] = table.key
  return first === undefined ? undefined : { field: first, isDescending: isNewestFirst(table) }
}

/** Whether a condition says something, so that an unfinished one filters nothing. */
export function isComplete({ operator, value }: Condition): boolean {
  return operator === 'isNull' || operator === 'eq' || operator === 'neq' || value.trim() !== ''
}

/** The view of a table that may have been altered since: without what it no longer has. */
export function fitting(view: View, { columns }: Pick<WatchedTable, 'columns'>): View {
  const of = (field: string) => columns.find(column => column.field === field)
  const fits = ({ field, operator }: Condition) => {
    const column = of(field)
    return column !== undefined && operatorsOf(column).includes(operator)
  }
  const ordered = view.order && of(view.order.field)
  return {
    ...view,
    conditions: view.conditions.every(fits) ? view.conditions : view.conditions.filter(fits),
    order: ordered && isSortable(ordered) ? view.order : undefined,
  }
}
