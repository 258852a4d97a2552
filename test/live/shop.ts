import type { WatchedTable } from '../../src/catalog/watched-table.js'
import {
  EVERYTHING,
  type Filter,
  type Link,
  type LinkedColumns,
  parseFilter,
  type RelatedScope,
} from '../../src/filters/index.js'
import { createLivePlan, type LivePlan } from '../../src/live/live-plan.js'
import type { RowImages } from '../../src/live/touches.js'
import { endOfBatch, type Position } from '../../src/log/position.js'
import { countResult } from '../../src/plan/aggregate-sql.js'
import type { AggregateNode, Plan, RootsNode, RowsNode } from '../../src/plan/plan.js'
import { type PlanRow, readPlanRows } from '../../src/plan/plan-result.js'
import type { Column } from '../../src/postgres/types.js'
import { column, image, table } from '../support/watched-tables.js'

/*
 * Customers with a numeric key, and orders that reference them by an int8: `1.00` and `1` are one customer. Products have a key of two
 * columns, which orders reference.
 */

export const customers = table('customers', [
  column('id', 'numeric', { notNull: true }),
  column('name'),
  column('country'),
  column('note'),
])
export const orders = table('orders', [
  column('id', 'int4', { notNull: true }),
  column('customer', 'int8'),
  column('total', 'numeric'),
  column('note'),
  column('shop'),
  column('no', 'int4'),
])
export const products = table(
  'products',
  [column('shop', 'text', { notNull: true }), column('no', 'int4', { notNull: true }), column('title')],
  { key: ['shop', 'no'] },
)
export const TABLES = [customers, orders, products] as const

/** A link between columns of two tables, in pairs. */
export function link(
  from: WatchedTable,
  to: WatchedTable,
  pairs: readonly (readonly [string, string])[],
  more: Partial<LinkedColumns> = {},
): Link {
  return {
    relid: to.relid,
    schema: to.schema,
    table: to.name,
    isForward: true,
    pairs: pairs.map(([local, remote]) => ({
      local: find(from, local),
      remote: find(to, remote),
      operator: 'operator(pg_catalog.=)',
      collation: null,
      ...more,
    })),
  }
}

function find({ columns, name }: WatchedTable, wanted: string): Column {
  const found = columns.find(one => one.name === wanted)
  if (!found) throw new TypeError(`${name} has no ${wanted}`)
  return found
}

export const toCustomer = link(orders, customers, [['customer', 'id']])
export const toOrders = link(customers, orders, [['id', 'customer']])
export const toProduct = link(orders, products, [
  ['shop', 'shop'],
  ['no', 'no'],
])

/** A filter by columns, and by `linked` rows of another table. */
export function where(
  of: WatchedTable,
  input: object,
  linked: Record<string, [Link, WatchedTable]> = {},
): Filter {
  const columns = (one: WatchedTable) => new Map(one.columns.map(each => [each.name, each]))
  const relations = new Map<string, RelatedScope>(
    Object.entries(linked).map(([name, [through, to]]) => [
      name,
      { link: through, isMany: true, columns: columns(to), relations: new Map() },
    ]),
  )
  return parseFilter(columns(of), input, {}, relations)
}

export function rows(of: WatchedTable, more: Partial<RowsNode> = {}): RowsNode {
  return { kind: 'rows', table: of, filter: EVERYTHING, columns: of.key, orderBy: [], limit: 100, offset: 0, children: new Map(), ...more }
} // biome-ignore format: a call

export function count(of: WatchedTable, more: Partial<AggregateNode> = {}): AggregateNode {
  const measures = [{ function: 'count', column: undefined, result: countResult('count') } as const]
  return { kind: 'aggregate', table: of, filter: EVERYTHING, measures, children: new Map(), ...more }
}

export function children<Of>(all: Record<string, Of>): ReadonlyMap<string, Of> {
  return new Map(Object.entries(all))
}

/** @param known the tables that the plan reads */
export function plan(root: Plan['root'], known: readonly WatchedTable[] = TABLES): Plan {
  return { root, tables: new Map(known.map(one => [one.relid, one])) }
}

export function roots(all: Record<string, RowsNode | AggregateNode>): RootsNode {
  return { kind: 'roots', table: orders, filter: EVERYTHING, children: children(all) }
}

export function live(root: Plan['root'], known: readonly WatchedTable[] = TABLES): LivePlan {
  return createLivePlan(plan(root, known), relid => known.find(one => one.relid === relid)?.key ?? [])
}

/** Rows as the database returns them for a plan: an image, or an image and an array for each child. */
export function result(of: LivePlan, ...all: readonly unknown[]): PlanRow[] {
  return readPlanRows(of.plan, all.map(row => JSON.stringify(row)))
} // biome-ignore format: a call

/** The images of a change. */
export function images(of: WatchedTable, row: object | null, old: object | null): RowImages {
  const read = (one: object | null) => one && image(of, JSON.stringify(one))
  return { row: read(row), old: read(old) }
}

/** The end of a batch. */
export function at(n: number): Position {
  return endOfBatch({ n, token: 1 })
}
