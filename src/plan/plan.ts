import type { WatchedTable } from '../catalog/watched-table.js'
import type { Filter, Link } from '../filters/index.js'
import type { Column } from '../postgres/types.js'

/**
 * A query of rows or aggregates of one table, and of what is linked to them: a tree that becomes one statement of SQL, so that all of it
 * shows one moment of the database.
 */
export interface Plan {
  readonly root: RowsNode | AggregateNode | RootsNode
  /** All tables that the statement reads, by their oids. */
  readonly tables: ReadonlyMap<string, WatchedTable>
  /**
   * Most rows of the result, linked rows and groups included: a small query can multiply rows from level to level. Undefined: no
   * limit.
   */
  readonly maxRows?: number | undefined
}

export type PlanNode = RowsNode | AggregateNode | GroupsNode | RootsNode

/** What all nodes have. */
interface Node {
  readonly table: WatchedTable
  readonly filter: Filter
  /** How a row of the node above leads to rows of this node. Undefined: it is the root. */
  readonly link?: Link | undefined
}

export interface RowsNode extends Node {
  readonly kind: 'rows'
  /** Columns whose values are read, by their names in the table. */
  readonly columns: readonly string[]
  /** By these columns, then by the primary key, so that pages are stable. */
  readonly orderBy: readonly Sort[]
  readonly limit: number
  readonly offset: number
  /** What each row leads to, by names of the caller's choice. */
  readonly children: ReadonlyMap<string, RowsNode | AggregateNode>
}

/** One result for all rows that match. */
export interface AggregateNode extends Node {
  readonly kind: 'aggregate'
  readonly measures: readonly Measure[]
  /** The same rows by groups, by names of the caller's choice. */
  readonly children: ReadonlyMap<string, GroupsNode>
}

/** One result for each group of rows with equal values, in the order of these values. Its link and filter are those of the node above. */
export interface GroupsNode extends Node {
  readonly kind: 'groups'
  readonly by: readonly string[]
  readonly measures: readonly Measure[]
  readonly limit: number
}

/** Several queries that show the same moment: one row, which leads to the results of each. Its table is that of the first. */
export interface RootsNode extends Node {
  readonly kind: 'roots'
  /** By names of the caller's choice; one or more. */
  readonly children: ReadonlyMap<string, RowsNode | AggregateNode>
}

/** By a column, by its name in the table. */
export interface Sort {
  readonly column: string
  readonly direction: SortDirection
}

export type SortDirection =
  | 'ASC'
  | 'DESC'
  | 'ASC_NULLS_FIRST'
  | 'ASC_NULLS_LAST'
  | 'DESC_NULLS_FIRST'
  | 'DESC_NULLS_LAST'

export type AggregateFunction = 'avg' | 'count' | 'max' | 'min' | 'sum'

/** A value that is computed from many rows. */
export interface Measure {
  readonly function: AggregateFunction
  /** The column of the table that it is computed from. Undefined: the rows themselves are counted. */
  readonly column: Column | undefined
  /** The result as a column: its name is unique among the measures of a node, and its type is the one that Postgres returns. */
  readonly result: Column
}

/** The table of a plan's root. */
export function rootTable({ root }: Plan): WatchedTable {
  return root.table
}

/** All nodes, each before those below it. */
export function nodesOf(plan: Plan): PlanNode[] {
  const below = (node: PlanNode): PlanNode[] =>
    node.kind === 'groups' ? [node] : [node, ...[...node.children.values()].flatMap(below)]
  return below(plan.root)
}
