import type { Column, Relation, Table } from './schema.js'
import { toGraphql } from './values.js'

/** A selection set of Query, which is also one of `live`. Response keys are aliases. */
export interface LiveDocument {
  readonly roots: readonly (RowsNode | AggregateNode)[]
}

/** Rows of a table: all of them, or those to which a relation leads. */
export interface RowsNode {
  readonly kind: 'rows'
  readonly alias: string
  readonly table: Table
  readonly relation?: Relation
  readonly where: Where
  readonly orderBy: readonly { readonly column: Column; readonly direction: Direction }[]
  readonly limit: number
  readonly offset: number
  readonly columns: readonly Column[]
  readonly children: readonly (RowsNode | OneNode | AggregateNode)[]
}

/** The one row to which a relation leads, or null. */
export interface OneNode extends Pick<RowsNode, 'alias' | 'table' | 'columns' | 'children'> {
  readonly kind: 'one'
  readonly relation: Relation
}

export interface AggregateNode extends Pick<RowsNode, 'alias' | 'table' | 'relation' | 'where'> {
  readonly kind: 'aggregate'
  readonly measures: readonly Measure[]
  readonly groups?: {
    readonly by: readonly Column[]
    readonly measures: readonly Measure[]
    readonly limit: number
  }
}

export type Measure =
  | { readonly function: 'count' }
  | { readonly function: 'sum' | 'avg' | 'min' | 'max'; readonly column: Column }

export type Direction = 'ASC' | 'DESC' | `${'ASC' | 'DESC'}_NULLS_${'FIRST' | 'LAST'}`

export type Operator = 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte'

export type Where =
  | { readonly kind: 'and' | 'or'; readonly all: readonly Where[] }
  | { readonly kind: 'not'; readonly one: Where }
  | { readonly kind: 'compare'; readonly column: Column; readonly operator: Operator; readonly value: string }
  | { readonly kind: 'in' | 'notIn'; readonly column: Column; readonly values: readonly string[] }
  | { readonly kind: 'like'; readonly column: Column; readonly pattern: string }
  | { readonly kind: 'isNull'; readonly column: Column; readonly isNull: boolean }
  | { readonly kind: 'linked'; readonly relation: Relation; readonly negated: boolean; readonly where: Where }

/** Matches every row. */
export const EVERY_ROW: Where = { kind: 'and', all: [] }

interface PrintOptions {
  /** Argument of a root that is live by itself, in ms. */
  readonly every?: number
  /** Selects the cursor of a list. */
  readonly hasCursor?: boolean
}

/** The text of a selection set. */
export function printDocument({ roots }: LiveDocument, options: PrintOptions = {}): string {
  return roots.map(root => printNode(root, options)).join(' ')
}

function printNode(
  node: RowsNode | OneNode | AggregateNode,
  { every, hasCursor }: PrintOptions = {},
): string {
  const field = node.relation?.field ?? node.table.name
  if (node.kind === 'one') return `${node.alias}: ${field} { ${printRow(node)} }`
  const extra = every === undefined ? [] : [`every: ${every}`]
  const where = node.where === EVERY_ROW ? [] : [`where: ${printWhere(node.where)}`]
  if (node.kind === 'aggregate')
    return `${node.alias}: ${field}Aggregate${printArguments([...where, ...extra])} { ${printAggregate(node)} }`
  const order = node.orderBy.map(({ column, direction }) => `{${column.name}: ${direction}}`)
  const all = printArguments([
    ...where,
    ...(order.length > 0 ? [`orderBy: [${order.join(', ')}]`] : []),
    `limit: ${node.limit}`,
    ...(node.offset > 0 ? [`offset: ${node.offset}`] : []),
    ...extra,
  ])
  const row = printRow(node)
  return `${node.alias}: ${field}${all} { ${node.relation ? row : `${hasCursor ? 'cursor ' : ''}rows { ${row} }`} }`
}

function printRow({ columns, children }: Pick<RowsNode, 'columns' | 'children'>): string {
  return [...columns.map(({ name }) => name), ...children.map(child => printNode(child))].join(' ')
}

function printAggregate({ measures, groups }: AggregateNode): string {
  if (!groups) return printMeasures(measures)
  const by = groups.by.map(({ name }) => name)
  return `${printMeasures(measures)} groups(groupBy: [${by.join(', ')}], limit: ${groups.limit}) { key { ${by.join(' ')} } ${printMeasures(groups.measures)} }`
}

/** Each function once, with its columns. */
function printMeasures(measures: readonly Measure[]): string {
  const functions = [...new Set(measures.map(measure => measure.function))]
  return functions
    .map(one => {
      const columns = measures.flatMap(measure =>
        measure.function === one && measure.function !== 'count' ? [measure.column.name] : [],
      )
      return columns.length > 0 ? `${one} { ${columns.join(' ')} }` : one
    })
    .join(' ')
}

function printArguments(all: readonly string[]): string {
  return all.length > 0 ? `(${all.join(', ')})` : ''
}

function printWhere(where: Where): string {
  switch (where.kind) {
    case 'and':
    case 'or':
      return `{${where.kind}: [${where.all.map(printWhere).join(', ')}]}`
    case 'not':
      return `{not: ${printWhere(where.one)}}`
    case 'compare':
      return `{${where.column.name}: {${where.operator}: ${toGraphql(where.column, where.value)}}}`
    case 'in':
    case 'notIn':
      return `{${where.column.name}: {${where.kind}: [${where.values.map(value => toGraphql(where.column, value)).join(', ')}]}}`
    case 'like':
      return `{${where.column.name}: {like: ${JSON.stringify(where.pattern)}}}`
    case 'isNull':
      return `{${where.column.name}: {isNull: ${where.isNull}}}`
    case 'linked': {
      const inner = printWhere(where.where)
      const { field, isMany } = where.relation
      if (isMany) return `{${field}: {${where.negated ? 'none' : 'some'}: ${inner}}}`
      return where.negated ? `{not: {${field}: ${inner}}}` : `{${field}: ${inner}}`
    }
  }
}

/** The names of the tables that decide a document. */
export function tablesOfDocument({ roots }: LiveDocument): Set<string> {
  const names = new Set<string>()
  const visitWhere = (where: Where): void => {
    if (where.kind === 'and' || where.kind === 'or') where.all.forEach(visitWhere)
    else if (where.kind === 'not') visitWhere(where.one)
    else if (where.kind === 'linked') {
      names.add(where.relation.to)
      visitWhere(where.where)
    }
  }
  const visit = (node: RowsNode | OneNode | AggregateNode): void => {
    names.add(node.table.name)
    if (node.kind !== 'one') visitWhere(node.where)
    if (node.kind !== 'aggregate') node.children.forEach(visit)
  }
  roots.forEach(visit)
  return names
}
