import { comparisonOf } from '../../../src/filters/comparisons.js'
import { type Filter, type Link, type RowImage, toPredicate } from '../../../src/filters/index.js'
import type { AggregateNode, GroupsNode, Measure, PlanNode, RowsNode } from '../../../src/plan/plan.js'
import type { PlanRow } from '../../../src/plan/plan-result.js'

/** The rows that a viewer sees of each table, by oid. */
export type Visible = ReadonlyMap<string, readonly RowImage[]>

/** A result in a form that can be compared: the texts of cells, and what is linked. */
export type Shown = {
  readonly cells: readonly unknown[]
  readonly linked: Readonly<Record<string, readonly Shown[]>>
}

/** What a plan returns, computed from the rows of all tables, row by row. */
export function expectedRows(node: PlanNode, visible: Visible, above?: RowImage): Shown[] {
  if (node.kind === 'roots') {
    const linked = [...node.children].map(([name, child]) => [name, expectedRows(child, visible)] as const)
    return [{ cells: [], linked: Object.fromEntries(linked) }]
  }
  const rows = (visible.get(node.table.relid) ?? []).filter(
    row => isLinked(node.link, above, row) && matches(node.filter, row, visible),
  )
  if (node.kind === 'aggregate') return [ofAggregate(node, rows, visible, above)]
  if (node.kind === 'groups') return ofGroups(node, rows)
  return ofRows(node, rows, visible)
}

function isLinked(link: Link | undefined, above: RowImage | undefined, row: RowImage): boolean {
  if (!link) return true
  return link.pairs.every(({ local, remote }) => {
    const here = above?.key(local.name) ?? null
    const there = row.key(remote.name)
    return here !== null && there !== null && Number(here) === Number(there)
  })
}

/** As `toPredicate`, for filters that look at other rows, too. Null: unknown. */
function matches(filter: Filter, row: RowImage, visible: Visible): boolean {
  return test(filter) === true
  function test(part: Filter): boolean | null {
    switch (part.kind) {
      case 'and':
      case 'or': {
        const all = part.filters.map(test)
        const decisive = part.kind === 'or'
        return all.includes(decisive) ? decisive : all.includes(null) ? null : !decisive
      }
      case 'not': {
        const inner = test(part.filter)
        return inner === null ? null : !inner
      }
      case 'related': {
        const others = visible.get(part.link.relid) ?? []
        const found = others.some(
          other => isLinked(part.link, row, other) && matches(part.filter, other, visible),
        )
        return found !== part.negated
      }
      default: {
        if (toPredicate(part)(row)) return true
        return toPredicate({ kind: 'not', filter: part })(row) ? false : null
      }
    }
  }
}

function ofRows(node: RowsNode, rows: RowImage[], visible: Visible): Shown[] {
  const isSorted = new Set(node.orderBy.map(({ column }) => column))
  const order = [
    ...node.orderBy,
    ...node.table.key
      .filter(name => !isSorted.has(name))
      .map(column => ({ column, direction: 'ASC' as const })),
  ]
  const sorted = [...rows].sort((a, b) => {
    for (const { column, direction } of order) {
      const compared = compareValues(node, column, a, b)
      const isDescending = direction.startsWith('DESC')
      const nullsFirst = direction.endsWith('NULLS_FIRST') || direction === 'DESC'
      if (compared === 'null') {
        const [x, y] = [a.key(column), b.key(column)]
        if (x === y) continue
        return (x === null) === nullsFirst ? -1 : 1
      }
      if (compared !== 0) return isDescending ? -compared : compared
    }
    return 0
  })
  const columns = node.table.columns.filter(({ name }) => node.columns.includes(name))
  return sorted.slice(node.offset, node.offset + node.limit).map(row => ({
    cells: columns.map(({ name }) => row.json(name)),
    linked: Object.fromEntries(
      [...node.children].map(([name, child]) => [name, expectedRows(child, visible, row)]),
    ),
  }))
}

function compareValues(node: PlanNode, name: string, a: RowImage, b: RowImage): number | 'null' {
  const column = node.table.columns.find(one => one.name === name)
  const [x, y] = [a.key(name), b.key(name)]
  if (!column || x === null || y === null) return 'null'
  return comparisonOf(column).compare(x, y)
}

function ofAggregate(
  node: AggregateNode,
  rows: RowImage[],
  visible: Visible,
  above: RowImage | undefined,
): Shown {
  return {
    cells: node.measures.map(measure => measured(measure, rows)),
    linked: Object.fromEntries(
      [...node.children].map(([name, child]) => [name, expectedRows(child, visible, above)]),
    ),
  }
}

function ofGroups(node: GroupsNode, rows: RowImage[]): Shown[] {
  const groups = new Map<string, RowImage[]>()
  for (const row of rows) {
    const key = JSON.stringify(node.by.map(name => String(row.key(name))))
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  const sorted = [...groups.values()].sort(([a], [b]) => {
    for (const name of node.by) {
      const compared = compareValues(node, name, a as RowImage, b as RowImage)
      if (compared === 'null') {
        const [x, y] = [(a as RowImage).key(name), (b as RowImage).key(name)]
        if (x !== y) return x === null ? 1 : -1
      } else if (compared !== 0) return compared
    }
    return 0
  })
  const by = node.table.columns.filter(({ name }) => node.by.includes(name))
  return sorted.slice(0, node.limit).map(group => ({
    cells: [
      ...by.map(({ name }) => group[0]?.key(name) ?? null),
      ...node.measures.map(one => measured(one, group)),
    ],
    linked: {},
  }))
}

/** Equal values of a column are compared by their key, since Postgres may show the text of either. */
function measured({ function: of, column }: Measure, rows: readonly RowImage[]): unknown {
  if (!column) return String(rows.length)
  const present = rows.filter(row => !row.isNull(column.name))
  if (present.length === 0) return null
  if (of === 'min' || of === 'max') {
    const { compare } = comparisonOf(column)
    const keys = present.map(row => row.key(column.name) as string | number | bigint)
    return keys.reduce((best, key) =>
      (of === 'min' ? compare(key, best) < 0 : compare(key, best) > 0) ? key : best,
    )
  }
  const sum = present.reduce((total, row) => total + scaled(row.json(column.name)), 0n)
  if (of === 'sum') return decimal(sum)
  return Math.round((Number(sum) / SCALE / present.length) * 1e6) / 1e6
}

/** Numbers of the tests have at most this many decimals, as a power of ten. */
const SCALE = 1e4

function scaled(json: string): bigint {
  const [whole = '0', fraction = ''] = json.replaceAll('"', '').split('.')
  const sign = whole.startsWith('-') ? -1n : 1n
  return BigInt(whole) * BigInt(SCALE) + sign * BigInt(fraction.padEnd(4, '0').slice(0, 4) || 0)
}

function decimal(value: bigint): string {
  return String(Number(value) / SCALE)
}

/** What a plan has returned, in the same form. */
export function shownRows(node: PlanNode, rows: readonly PlanRow[]): Shown[] {
  if (node.kind === 'roots') return rows.map(row => ({ cells: [], linked: linkedOf(node, row) }))
  if (node.kind === 'rows') {
    const columns = node.table.columns.filter(({ name }) => node.columns.includes(name))
    return rows.map(row => ({
      cells: columns.map(({ name }) => row.json(name)),
      linked: linkedOf(node, row),
    }))
  }
  const by = node.kind === 'groups' ? node.table.columns.filter(({ name }) => node.by.includes(name)) : []
  return rows.map(row => ({
    cells: [...by.map(({ name }) => row.key(name)), ...node.measures.map(measure => cellOf(measure, row))],
    linked: node.kind === 'groups' ? {} : linkedOf(node, row),
  }))
}

function linkedOf(node: Exclude<PlanNode, GroupsNode>, row: PlanRow): Shown['linked'] {
  return Object.fromEntries(
    [...node.children].map(([name, child]) => [name, shownRows(child, row.linked?.get(name) ?? [])]),
  )
}

function cellOf({ function: of, column, result }: Measure, row: PlanRow): unknown {
  if (!column) return row.get(result.name)
  if (row.isNull(result.name)) return null
  if (of === 'min' || of === 'max') return row.key(result.name)
  const text = row.json(result.name).replaceAll('"', '')
  return of === 'sum' ? String(Number(text)) : Math.round(Number(text) * 1e6) / 1e6
}
