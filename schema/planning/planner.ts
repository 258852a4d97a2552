import type { FieldNode, GraphQLResolveInfo, SelectionSetNode } from 'graphql'
import { EVERYTHING, type Filter, type Link, relatedIn } from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { AggregateNode, GroupsNode, Measure, Plan, RowsNode } from '../../src/plan/plan.js'
import { measuresOf } from '../aggregates/aggregate-fields.js'
import { createFilterReader } from '../filter-type.js'
import { createOrderReader } from '../order-by.js'
import { linkOf } from '../relations.js'
import type { SchemaLimits, TypedRelation, TypedTable } from '../table-schema.js'
import { type Arguments, mergedArguments } from './merged-arguments.js'
import {
  DEFAULT_ROWS,
  liveLimits,
  MAX_GROUPS,
  MAX_RELATED_ROWS,
  MAX_ROWS,
  mostRows,
  RelationBudget,
  type RowsOption,
  within,
} from './plan-limits.js'
import { selectedFields, setsOf } from './selected-fields.js'

/** Makes plans of what an operation selects below a field. */
export interface Planner {
  /** Of a field whose type is a snapshot of the table. @throws ListenqlError FILTER_INVALID, ARGUMENT_INVALID, LIMIT_EXCEEDED */
  rows(table: TypedTable, args: Arguments, info: GraphQLResolveInfo): Plan
  /** Of a field whose type is the aggregate of the table. @throws the same */
  aggregate(table: TypedTable, args: Arguments, info: GraphQLResolveInfo): Plan
  /** Of a field whose type is Query: of all its fields, by their response keys. @throws the same */
  roots(info: GraphQLResolveInfo): Plan
}

/** What the planner knows of a table. */
interface Reader {
  readonly filter: (where: unknown) => Filter
  readonly order: (orderBy: unknown) => RowsNode['orderBy']
  /** Columns, by field. */
  readonly columns: ReadonlyMap<string, string>
  readonly relations: ReadonlyMap<string, TypedRelation>
  readonly aggregates: ReadonlyMap<string, TypedRelation>
}

/** @param isLive whether the plans are of live queries, whose lists are shorter */
export function createPlanner(
  tables: ReadonlyMap<string, TypedTable>,
  given: SchemaLimits,
  isLive = false,
): Planner {
  const limits = isLive ? liveLimits(given) : given
  const readers = new Map([...tables].map(([relid, table]) => [relid, readerOf(table, tables, limits)]))
  const start = (info: GraphQLResolveInfo) => new Planning(tables, readers, limits, info, isLive)
  return {
    rows: (table, args, info) => start(info).rows(table, args),
    aggregate: (table, args, info) => start(info).aggregate(table, args),
    roots: info => start(info).roots(),
  }
}

function readerOf(
  table: TypedTable,
  tables: ReadonlyMap<string, TypedTable>,
  { filter }: SchemaLimits,
): Reader {
  return {
    filter: createFilterReader(table, filter, tables),
    order: createOrderReader(table, filter?.conditions),
    columns: new Map(table.columns.map(({ field, column }) => [field, column.name])),
    relations: new Map(table.relations.map(relation => [relation.field, relation])),
    aggregates: new Map(
      table.relations.flatMap(relation =>
        relation.aggregateField === undefined ? [] : [[relation.aggregateField, relation] as const],
      ),
    ),
  }
}

/** The plan of one field. */
class Planning {
  readonly #tables: ReadonlyMap<string, TypedTable>
  readonly #readers: ReadonlyMap<string, Reader>
  readonly #limits: SchemaLimits
  readonly #info: GraphQLResolveInfo
  readonly #isLive: boolean
  readonly #used = new Map<string, TypedTable>()
  readonly #budget: RelationBudget

  constructor(
    tables: ReadonlyMap<string, TypedTable>,
    readers: ReadonlyMap<string, Reader>,
    limits: SchemaLimits,
    info: GraphQLResolveInfo,
    isLive: boolean,
  ) {
    this.#tables = tables
    this.#readers = readers
    this.#limits = limits
    this.#info = info
    this.#isLive = isLive
    this.#budget = new RelationBudget(limits)
  }

  rows(table: TypedTable, args: Arguments): Plan {
    return this.#plan(this.#snapshotNode(table, args, this.#info.fieldNodes))
  }

  roots(): Plan {
    const children = new Map<string, RowsNode | AggregateNode>()
    for (const [key, nodes] of this.#fields(this.#info.fieldNodes)) {
      const name = nodes[0]?.name.value
      const asked = mergedArguments('Query', nodes, this.#info)
      const ofRows = [...this.#tables.values()].find(({ queryField }) => queryField === name)
      const ofAggregate = [...this.#tables.values()].find(({ aggregateField }) => aggregateField === name)
      if (ofRows) children.set(key, this.#snapshotNode(ofRows, asked, nodes))
      else if (ofAggregate) children.set(key, this.#aggregateNode(ofAggregate, asked, setsOf(nodes)))
      else
        throw new ListenqlError(
          'ARGUMENT_INVALID',
          `live: ${name} is neither the rows nor the aggregate of a table`,
          {
            hint: 'query it by itself',
          },
        )
    }
    const [first] = children.values()
    if (!first) throw new ListenqlError('ARGUMENT_INVALID', 'live: no rows and no aggregate are selected')
    return this.#plan({ kind: 'roots', table: first.table, filter: EVERYTHING, children })
  }

  /** @param nodes the fields whose type is a snapshot of the table */
  #snapshotNode(table: TypedTable, args: Arguments, nodes: readonly FieldNode[]): RowsNode {
    const max = mostRows(this.#limits, this.#isLive)
    const lists = this.#fields(nodes).filter(([, [node]]) => node?.name.value === 'rows')
    return this.#rowsNode(table, args, setsOf(lists.flatMap(([, all]) => all)), { max, depth: 0 })
  }

  aggregate(table: TypedTable, args: Arguments): Plan {
    return this.#plan(this.#aggregateNode(table, args, setsOf(this.#info.fieldNodes)))
  }

  #plan(root: Plan['root']): Plan {
    return {
      root,
      maxRows: this.#limits.rows ?? MAX_ROWS,
      tables: new Map([...this.#used].map(([relid, { table }]) => [relid, table])),
    }
  }

  #rowsNode(
    table: TypedTable,
    args: Arguments,
    sets: readonly (SelectionSetNode | undefined)[],
    { max, depth, link, isOne = false }: { max: number; depth: number; link?: Link; isOne?: boolean },
  ): RowsNode {
    const reader = this.#use(table)
    const columns = new Set<string>()
    const children = new Map<string, RowsNode | AggregateNode>()
    for (const [key, nodes] of selectedFields(sets, this.#info)) {
      const [node] = nodes as [FieldNode]
      const name = node.name.value
      const column = reader.columns.get(name)
      if (column !== undefined) columns.add(column)
      const relation = reader.relations.get(name)
      if (relation) children.set(key, this.#related(table, relation, nodes, depth + 1))
      const aggregate = reader.aggregates.get(name)
      if (aggregate) children.set(key, this.#relatedAggregate(table, aggregate, nodes, depth + 1))
    }
    return {
      kind: 'rows',
      table: table.table,
      filter: this.#filter(reader, args.where),
      link,
      columns: [...columns],
      orderBy: reader.order(args.orderBy),
      limit: isOne
        ? 1
        : within('limit', args.limit ?? Math.min(DEFAULT_ROWS, max), max, this.#rowsOption(link)),
      offset: isOne ? 0 : within('offset', args.offset ?? 0, Number.POSITIVE_INFINITY),
      children,
    }
  }

  #rowsOption(link: Link | undefined): RowsOption {
    if (link && !this.#isLive) return 'maxRelatedRows'
    return this.#isLive ? 'maxLiveRows' : 'maxRows'
  }

  #related(from: TypedTable, relation: TypedRelation, nodes: readonly FieldNode[], depth: number): RowsNode {
    this.#budget.enter(depth)
    const table = this.#tables.get(relation.to) as TypedTable
    return this.#rowsNode(table, mergedArguments(from.rowType, nodes, this.#info), setsOf(nodes), {
      max: this.#limits.relatedRows ?? MAX_RELATED_ROWS,
      depth,
      link: linkOf(from, relation, table),
      isOne: !relation.isMany,
    })
  }

  #relatedAggregate(
    from: TypedTable,
    relation: TypedRelation,
    nodes: readonly FieldNode[],
    depth: number,
  ): AggregateNode {
    this.#budget.enter(depth)
    const table = this.#tables.get(relation.to) as TypedTable
    const link = linkOf(from, relation, table)
    return this.#aggregateNode(table, mergedArguments(from.rowType, nodes, this.#info), setsOf(nodes), link)
  }

  #aggregateNode(
    table: TypedTable,
    args: Arguments,
    sets: readonly (SelectionSetNode | undefined)[],
    link?: Link,
  ): AggregateNode {
    const reader = this.#use(table)
    const shared = { table: table.table, filter: this.#filter(reader, args.where), link }
    const children = new Map<string, GroupsNode>()
    const fields = [...selectedFields(sets, this.#info)]
    for (const [key, nodes] of fields) {
      if (nodes[0]?.name.value !== 'groups') continue
      const asked = mergedArguments(table.aggregateType, nodes, this.#info)
      const most = this.#limits.relatedRows ?? MAX_GROUPS
      const limit = within('limit', asked.limit ?? Math.min(DEFAULT_ROWS, most), most, 'maxRelatedRows')
      this.#budget.count()
      const by = [...new Set(asked.groupBy as string[])]
      if (by.length === 0)
        throw new ListenqlError('ARGUMENT_INVALID', 'groupBy: there is no column to group by')
      children.set(key, {
        kind: 'groups',
        ...shared,
        by,
        limit,
        measures: this.#measures(table, setsOf(nodes)),
      })
    }
    return { kind: 'aggregate', ...shared, measures: this.#measures(table, sets), children }
  }

  #measures(table: TypedTable, sets: readonly (SelectionSetNode | undefined)[]): Measure[] {
    const below = (nodes: readonly FieldNode[]) =>
      [...selectedFields(setsOf(nodes), this.#info).values()].map(([node]) => (node as FieldNode).name.value)
    const selected = [...selectedFields(sets, this.#info).values()].map(nodes => ({
      name: (nodes[0] as FieldNode).name.value,
      fields: below(nodes),
    }))
    return measuresOf(table.aggregates, selected)
  }

  #filter(reader: Reader, where: unknown): Filter {
    const filter = reader.filter(where)
    const visit = (one: Filter) => {
      for (const { link, filter: inner } of relatedIn(one)) {
        this.#budget.count()
        this.#use(this.#tables.get(link.relid) as TypedTable)
        visit(inner)
      }
    }
    visit(filter)
    return filter
  }

  #use(table: TypedTable): Reader {
    this.#used.set(table.table.relid, table)
    return this.#readers.get(table.table.relid) as Reader
  }

  #fields(nodes: readonly FieldNode[]): [string, FieldNode[]][] {
    return [...selectedFields(setsOf(nodes), this.#info)]
  }
}
