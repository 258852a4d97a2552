import type { AggregateNode, LiveDocument, Measure, OneNode, RowsNode, Where } from './document.js'
import { type Column, columnOf, type Relation, type Schema, tableOf } from './schema.js'
import { averageOf, canonical, compareValues, shown, sumOf, toJson } from './values.js'

/** A row as texts, by column. */
export type Row = Readonly<Record<string, string | null>>

/** The rows of each table. */
export type Tables = ReadonlyMap<string, readonly Row[]>

/**
 * A plain model of the database: what a document returns is computed row by row from the rows of all tables. Numbers that may have
 * several texts have their canonical one; see `canonicalData`.
 */
export function evaluate({ roots }: LiveDocument, tables: Tables, schema: Schema): object {
  return Object.fromEntries(
    roots.map(root => {
      const value = nodeValue(root)
      return [root.alias, root.kind === 'rows' ? { rows: value } : value]
    }),
  )

  function nodeValue(node: RowsNode | OneNode | AggregateNode, above?: Row): unknown {
    const linked = linkedRows(node.table.name, node.relation, above)
    if (node.kind === 'one') {
      const [row] = linked
      if (linked.length > 1) throw new Error(`${node.relation.field} leads to ${linked.length} rows`)
      return row ? rowValue(node, row) : null
    }
    const rows = linked.filter(row => test(node.where, row) === true)
    if (node.kind === 'aggregate') return aggregateValue(node, rows)
    return sort(node, rows)
      .slice(node.offset, node.offset + node.limit)
      .map(row => rowValue(node, row))
  }

  function linkedRows(table: string, relation: Relation | undefined, above: Row | undefined): readonly Row[] {
    const all = tables.get(table) ?? []
    return relation && above ? all.filter(row => isLinked(schema, relation, above, row)) : all
  }

  function rowValue({ columns, children }: Pick<RowsNode, 'columns' | 'children'>, row: Row): object {
    return Object.fromEntries([
      ...columns.map(column => [
        column.name,
        toJson(
          column,
          nullable(row[column.name], value => shown(column, value)),
        ),
      ]),
      ...children.map(child => [child.alias, nodeValue(child, row)]),
    ])
  }

  function sort({ orderBy, table }: RowsNode, rows: readonly Row[]): Row[] {
    const named = new Set(orderBy.map(({ column }) => column.name))
    const rest = table.key.filter(name => !named.has(name)).map(name => columnOf(table, name))
    const order = [...orderBy, ...rest.map(column => ({ column, direction: 'ASC' as const }))]
    return [...rows].sort((a, b) => {
      for (const { column, direction } of order) {
        const [x, y] = [a[column.name] ?? null, b[column.name] ?? null]
        const isDown = direction.startsWith('DESC')
        const hasNullsFirst = direction === 'DESC' || direction.endsWith('FIRST')
        const compared =
          x === null || y === null ? orderNulls(x, y, hasNullsFirst) : compareValues(column, schema, x, y)
        if (compared !== 0) return isDown && x !== null && y !== null ? -compared : compared
      }
      return 0
    })
  }

  function aggregateValue({ measures, groups }: AggregateNode, rows: readonly Row[]): object {
    if (!groups) return measured(measures, rows)
    return { ...measured(measures, rows), groups: groupValues(groups, rows) }
  }

  function groupValues(
    { by, measures, limit }: NonNullable<AggregateNode['groups']>,
    rows: readonly Row[],
  ): object[] {
    const keyOf = (row: Row) => by.map(column => nullable(row[column.name], text => canonical(column, text)))
    const groups = new Map<string, Row[]>()
    for (const row of rows) {
      const name = JSON.stringify(keyOf(row))
      groups.set(name, [...(groups.get(name) ?? []), row])
    }
    const sorted = [...groups.values()].sort(([a], [b]) => {
      for (const column of by) {
        const [x, y] = [a?.[column.name] ?? null, b?.[column.name] ?? null]
        const compared =
          x === null || y === null ? orderNulls(x, y, false) : compareValues(column, schema, x, y)
        if (compared !== 0) return compared
      }
      return 0
    })
    return sorted.slice(0, limit).map(group => {
      const texts = keyOf(group[0] as Row)
      const key = Object.fromEntries(by.map((column, i) => [column.name, toJson(column, texts[i] ?? null)]))
      return { key, ...measured(measures, group) }
    })
  }

  function measured(measures: readonly Measure[], rows: readonly Row[]): object {
    const result: Record<string, unknown> = {}
    for (const measure of measures) {
      if (measure.function === 'count') result.count = String(rows.length)
      else {
        const { function: of, column } = measure
        const fields = (result[of] ?? {}) as Record<string, unknown>
        result[of] = fields
        fields[column.name] = measureValue(of, column, rows)
      }
    }
    return result
  }

  function measureValue(of: 'sum' | 'avg' | 'min' | 'max', column: Column, rows: readonly Row[]): unknown {
    const texts = rows.flatMap(row => row[column.name] ?? [])
    const [first] = texts
    if (first === undefined) return null
    if (of === 'sum') return sumOf(texts)
    if (of === 'avg') return averageOf(texts)
    const sign = of === 'min' ? 1 : -1
    const best = texts.reduce((a, b) => (sign * compareValues(column, schema, a, b) <= 0 ? a : b), first)
    return toJson(column, canonical(column, best))
  }

  /** Null: unknown, as in SQL. */
  function test(where: Where, row: Row): boolean | null {
    switch (where.kind) {
      case 'and':
      case 'or': {
        const all = where.all.map(one => test(one, row))
        const decisive = where.kind === 'or'
        return all.includes(decisive) ? decisive : all.includes(null) ? null : !decisive
      }
      case 'not':
        return nullable(test(where.one, row), value => !value)
      case 'linked': {
        const rows = linkedRows(where.relation.to, where.relation, row)
        return rows.some(other => test(where.where, other) === true) !== where.negated
      }
      case 'isNull':
        return ((row[where.column.name] ?? null) === null) === where.isNull
      default:
        return nullable(row[where.column.name], text => compared(where, text))
    }
  }

  function compared(
    where: Extract<Where, { kind: 'compare' | 'in' | 'notIn' | 'like' }>,
    text: string,
  ): boolean {
    if (where.kind === 'like') return isLike(text, where.pattern)
    const against = (value: string) => compareValues(where.column, schema, text, value)
    if (where.kind !== 'compare')
      return where.values.some(value => against(value) === 0) === (where.kind === 'in')
    const sign = against(where.value)
    const holds = {
      eq: sign === 0,
      neq: sign !== 0,
      gt: sign > 0,
      gte: sign >= 0,
      lt: sign < 0,
      lte: sign <= 0,
    }
    return holds[where.operator]
  }
}

/** Whether a relation leads from one row to the other. */
export function isLinked(schema: Schema, { pairs, to }: Relation, here: Row, there: Row): boolean {
  return pairs.every(([local, remote]) => {
    const [a, b] = [here[local] ?? null, there[remote] ?? null]
    const column = columnOf(tableOf(schema, to), remote)
    return a !== null && b !== null && canonical(column, a) === canonical(column, b)
  })
}

/** Of two values of which at least one is null. */
function orderNulls(a: string | null, b: string | null, hasNullsFirst: boolean): number {
  if (a === b) return 0
  return (a === null) === hasNullsFirst ? -1 : 1
}

function nullable<T, U>(value: T | null | undefined, map: (value: T) => U): U | null {
  return value === null || value === undefined ? null : map(value)
}

/** LIKE without escapes. */
function isLike(text: string, pattern: string): boolean {
  const source = pattern.replaceAll('%', '[^]*').replaceAll('_', '[^]')
  return new RegExp(`^${source}$`, 'u').test(text)
}
