import pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { type DatabaseText, linkSql, sortKey, toSql } from '../filters/index.js'
import { groupKey, measureSql } from './aggregate-sql.js'
import type { AggregateNode, GroupsNode, Plan, PlanNode, RowsNode, SortDirection } from './plan.js'
import { columnOf, linkedTable, type PlanNames } from './plan-names.js'
import { localColumns } from './used-columns.js'

const ORDER: Readonly<Record<SortDirection, string>> = {
  ASC: 'asc nulls last',
  DESC: 'desc nulls first',
  ASC_NULLS_FIRST: 'asc nulls first',
  ASC_NULLS_LAST: 'asc nulls last',
  DESC_NULLS_FIRST: 'desc nulls first',
  DESC_NULLS_LAST: 'desc nulls last',
}

export interface RowsSqlOptions {
  readonly plan: Plan
  readonly names: PlanNames
  /** Gets the values of the statement's parameters. */
  readonly values: unknown[]
  /** How the database stores texts. */
  readonly text: DatabaseText | undefined
  /** A table as the statement reads it. */
  readonly tableSql: (table: WatchedTable) => string
  /** The columns of a table's primary key that rows may be sorted by. */
  readonly keyOf: (table: WatchedTable) => readonly string[]
}

/** The rows of a node for one row above it, whose alias is `names.up`; for the root, all of them. */
export function rowsSql(node: PlanNode, options: RowsSqlOptions): string {
  if (node.kind === 'roots') return 'select'
  const { plan, names, values, text, tableSql } = options
  const filter = toSql(node.filter, values, names.row, text, link => tableSql(linkedTable(plan, link)))
  const linked = node.link ? [linkSql(node.link, names.up, names.row)] : []
  const from = `from ${tableSql(node.table)} ${names.row} where ${[...linked, filter].join(' and ')}`
  if (node.kind === 'aggregate')
    return `select ${[...measures(node, names), `pg_catalog.count(*) as ${names.count}`].join(', ')} ${from}`
  return node.kind === 'groups' ? groups(node, from, options) : rows(node, from, options)
}

function rows(node: RowsNode, from: string, { names, values, text, keyOf }: RowsSqlOptions): string {
  const column = (name: string) => `${names.row}.${pg.escapeIdentifier(name)}`
  const isSorted = new Set(node.orderBy.map(sort => sort.column))
  const sorts = node.orderBy.map(
    ({ column: name, direction }) =>
      `${sortKey(columnOf(node, name), column(name), text)} ${ORDER[direction]}`,
  )
  const keys = keyOf(node.table).filter(name => !isSorted.has(name))
  const order = [...sorts, ...keys.map(column)]
  const columns = carried(node).map(column)
  return `select ${columns.join(', ')} ${from} ${order.length > 0 ? `order by ${order.join(', ')}` : ''}
    limit ${int8(node.limit, values)} offset ${int8(node.offset, values)}`
}

function groups(node: GroupsNode, from: string, { names, values, text }: RowsSqlOptions): string {
  const by = node.by.map(name => {
    const quoted = pg.escapeIdentifier(name)
    return { quoted, ...groupKey(columnOf(node, name), `${names.row}.${quoted}`, text) }
  })
  const keys = by.map(({ key, quoted }) => `${key} as ${quoted}`)
  return `select ${[...keys, ...measures(node, names)].join(', ')} ${from}
    group by ${by.flatMap(({ key, order }) => [key, order]).join(', ')}
    order by ${by.map(({ order }) => `${order} asc nulls last`).join(', ')} limit ${int8(node.limit, values)}`
}

function measures(node: AggregateNode | GroupsNode, { row }: PlanNames): string[] {
  return node.measures.map(one => `${measureSql(one, row)} as ${pg.escapeIdentifier(one.result.name)}`)
}

/** The columns that a row's image shows, and those by which children are linked to the row. */
function carried({ table, columns, children }: RowsNode): string[] {
  const links = new Set([...children.values()].flatMap(localColumns))
  return table.columns.map(({ name }) => name).filter(name => columns.includes(name) || links.has(name))
}

function int8(value: number, values: unknown[]): string {
  values.push(String(value))
  return `$${values.length}::pg_catalog.int8`
}
