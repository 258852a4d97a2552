import pg from 'pg'
import { aliasBeside } from '../catalog/image-sql.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { Link } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import type { Column } from '../postgres/types.js'
import { nodesOf, type Plan, type PlanNode } from './plan.js'

/** The names in the statement of a plan, none of which a column of its tables has. */
export interface PlanNames {
  /** The alias of a row. */
  readonly row: string
  /** The alias of the row above. */
  readonly up: string
  /** The alias of a row with the columns of its image. */
  readonly image: string
  /** The column with the number of a row within its node. */
  readonly number: string
  /** The column with the number of the row above. */
  readonly above: string
  /** The column with the assembled JSON of a row's children. */
  readonly json: string
  /** A column that keeps an aggregate an aggregate, whatever is selected. */
  readonly count: string
  /** The common table expression with the rows of a node. */
  of(node: PlanNode): string
  /** The one with all rows of a table that the viewer sees. */
  seen(table: WatchedTable): string
}

export function planNames(plan: Plan): PlanNames {
  const nodes = new Map(nodesOf(plan).map((node, i) => [node, `_lq${i}`]))
  const tables = [...plan.tables.keys()]
  const row = aliasBeside([...plan.tables.values()].flatMap(({ columns }) => columns))
  return {
    row,
    up: `${row}p`,
    image: `${row}x`,
    number: `${row}n`,
    above: `${row}u`,
    json: `${row}j`,
    count: `${row}c`,
    of: node => nodes.get(node) as string,
    seen: ({ relid }) => `_lq_seen${tables.indexOf(relid)}`,
  }
}

export function linkedTable({ tables }: Plan, { relid }: Link): WatchedTable {
  const table = tables.get(relid)
  if (!table) throw new TypeError(`table ${relid} is not in the plan`)
  return table
}

/** @throws ListenqlError ARGUMENT_INVALID */
export function columnOf({ table }: PlanNode, name: string): Column {
  const column = table.columns.find(one => one.name === name)
  if (!column) throw new ListenqlError('ARGUMENT_INVALID', `table ${table.name} has no column ${name}`)
  return column
}

/** A table as SQL. */
export function qualified({ schema, name }: WatchedTable): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`
}
