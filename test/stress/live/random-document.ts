import type { Random } from '../random.js'
import {
  type AggregateNode,
  type Direction,
  EVERY_ROW,
  type LiveDocument,
  type Measure,
  type OneNode,
  type Operator,
  type RowsNode,
  type Where,
} from './document.js'
import { type Column, type Relation, relationsOf, type Schema, type Table, tableOf } from './schema.js'
import { randomValue } from './values.js'

/** Levels of linked rows below the rows of a root. */
const DEPTH = 3
/** Limits of lists by level: linked rows multiply. */
const LIMITS = [
  [1, 3, 8, 100],
  [1, 2, 100],
  [1, 3],
  [1, 2],
] as const

/** A random document over the tables of a schema: rows with windows and filters, linked rows in both directions, aggregates and groups, one root or several. */
export function randomDocument(schema: Schema, random: Random): LiveDocument {
  const count = random.pick([1, 1, 1, 2, 3])
  // Roots share the limit of relations of a live query.
  const depth = count > 1 ? 1 : DEPTH
  const roots = Array.from({ length: count }, (_, i) => {
    const table = random.pick(schema.tables)
    const alias = `root${i + 1}`
    return random.chance(0.75) ? anyRows(table, alias, 0) : anyAggregate(table, alias)
  })
  return { roots }

  function anyRows(table: Table, alias: string, level: number, relation?: Relation): RowsNode {
    const isKeyless = table.key.length === 0
    const sorted = random.shuffle(table.columns).slice(0, isKeyless ? table.columns.length : random.int(0, 2))
    return {
      kind: 'rows',
      alias,
      table,
      ...(relation && { relation }),
      where: random.chance(0.3) ? EVERY_ROW : anyWhere(table, random.int(0, 2)),
      orderBy: sorted.map(column => ({ column, direction: anyDirection() })),
      limit: random.pick(LIMITS[level] ?? [1]),
      offset: random.pick([0, 0, 0, 1, 2]),
      columns: someColumns(table),
      children: anyChildren(table, level),
    }
  }

  function anyChildren(table: Table, level: number): RowsNode['children'] {
    const relations = relationsOf(schema, table.name)
    if (level >= depth || relations.length === 0) return []
    return random
      .shuffle(relations)
      .slice(0, random.pick([0, 1, 1, 2]))
      .map((relation, i) => {
        const to = tableOf(schema, relation.to)
        const alias = `child${i + 1}`
        if (!relation.isMany) return anyOne(to, alias, level + 1, relation)
        return random.chance(0.7)
          ? anyRows(to, alias, level + 1, relation)
          : anyAggregate(to, alias, relation)
      })
  }

  function anyOne(table: Table, alias: string, level: number, relation: Relation): OneNode {
    return {
      kind: 'one',
      alias,
      table,
      relation,
      columns: someColumns(table),
      children: anyChildren(table, level),
    }
  }

  function anyAggregate(table: Table, alias: string, relation?: Relation): AggregateNode {
    const by = random.shuffle(table.columns).slice(0, random.int(1, 2))
    return {
      kind: 'aggregate',
      alias,
      table,
      ...(relation && { relation }),
      where: random.chance(0.4) ? EVERY_ROW : anyWhere(table, random.int(0, 1)),
      measures: anyMeasures(table),
      ...(random.chance(0.5) && {
        groups: { by, measures: anyMeasures(table), limit: random.pick([1, 3, 100]) },
      }),
    }
  }

  function anyMeasures({ columns }: Table): Measure[] {
    const all = columns.flatMap((column): Measure[] => {
      const isNumber = column.type === 'int' || column.type === 'bigint' || column.type === 'numeric'
      const extremes = (['min', 'max'] as const).map(one => ({ function: one, column }))
      // Postgres rounds the average of large numbers to fewer decimals.
      const totals = (column.type === 'bigint' ? ['sum' as const] : ['sum' as const, 'avg' as const]).map(
        one => ({ function: one, column }),
      )
      return [...(column.type === 'bool' ? [] : extremes), ...(isNumber ? totals : [])]
    })
    return [{ function: 'count' }, ...random.shuffle(all).slice(0, random.int(0, 3))]
  }

  function someColumns({ columns }: Table): Column[] {
    return random.shuffle(columns).slice(0, random.int(1, columns.length))
  }

  function anyDirection(): Direction {
    return random.pick(['ASC', 'DESC', 'ASC', 'DESC', 'ASC_NULLS_FIRST', 'DESC_NULLS_LAST'] as const)
  }

  function anyWhere(table: Table, level: number): Where {
    const relations = relationsOf(schema, table.name)
    const kind = level === 0 ? 'column' : random.pick(['column', 'linked', 'linked', 'and', 'or', 'not'])
    const several = () => Array.from({ length: random.int(1, 2) }, () => anyWhere(table, level - 1))
    if (kind === 'and' || kind === 'or') return { kind, all: several() }
    if (kind === 'not') return { kind, one: anyWhere(table, level - 1) }
    if (kind === 'linked' && relations.length > 0) {
      const relation = random.pick(relations)
      const where = random.chance(0.2) ? EVERY_ROW : anyWhere(tableOf(schema, relation.to), level - 1)
      return { kind: 'linked', relation, negated: random.chance(0.3), where }
    }
    return onColumn(random.pick(table.columns))
  }

  function onColumn(column: Column): Where {
    const value = () => randomValue(column, schema, random)
    const kind = random.pick(['compare', 'compare', 'compare', 'in', 'notIn', 'isNull', 'like'] as const)
    if (kind === 'isNull') return { kind, column, isNull: random.chance(0.5) }
    if (kind === 'like' && column.type === 'text')
      return { kind, column, pattern: random.pick(['a%', '%n%', '_', 'A__']) }
    if ((kind === 'in' || kind === 'notIn') && column.type !== 'bool')
      return { kind, column, values: [value(), value(), value()] }
    const operators: readonly Operator[] =
      column.type === 'bool' ? ['eq', 'neq'] : ['eq', 'eq', 'neq', 'gt', 'gte', 'lt', 'lte']
    return { kind: 'compare', column, operator: random.pick(operators), value: value() }
  }
}
