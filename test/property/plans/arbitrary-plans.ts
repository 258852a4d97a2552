import fc from 'fast-check'
import { typeAggregates } from '../../../schema/aggregates/aggregate-fields.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import {
  EVERYTHING,
  type Filter,
  type Link,
  parseFilter,
  type RelatedScope,
} from '../../../src/filters/index.js'
import type { AggregateNode, GroupsNode, Measure, Plan, RootsNode, RowsNode } from '../../../src/plan/plan.js'
import type { WatchedLog } from '../../support/watched-log.js'

/*
 * Four tables with keys of several columns, of numeric (1 is 1.00) and of different integer types, with a reference to the same table,
 * NULLs and dangling references, and arbitrary plans over them.
 */

const NAMES = ['people', 'teams', 'tasks', 'tags'] as const

/** Replaces all rows of the tables. */
export const PLAN_ROWS = `
    truncate people, teams, tasks, tags;
    insert into teams select (i % 3)::numeric(4, 2), i / 3, case when i % 4 > 0 then chr(97 + i % 4) end from generate_series(0, 8) i;
    insert into people select i, nullif(i * 7 % 13, 0), nullif(i % 4, 3), i % 5, (array['Ann', 'ann', 'Bö', 'z', null])[1 + i % 5],
      nullif(i * 5 % 9, 4), round((i * 37 % 11)::numeric / 4, i % 3), (array['sad', 'ok', 'happy', null])[1 + i % 4]::mood from generate_series(1, 12) i;
    insert into tasks select i, nullif(i % 9, 8), 't' || i % 3, (i % 4) / 2.0, date '2026-01-01' + i % 5, ('10.0.0.' || i % 3)::inet from generate_series(1, 16) i;
    insert into tags select nullif(i % 18, 2), 'x' || i % 4, i % 3 from generate_series(1, 20) i`

/** Creates the tables, with rows. The foreign keys are known to the returned tables and do not exist any more. */
export async function createPlanTables(watched: WatchedLog): Promise<Map<string, WatchedTable>> {
  const { log } = watched
  await log.query(`create type mood as enum ('sad', 'ok', 'happy')`)
  await watched.table('org numeric, no int2, name text, primary key (no, org)', 'teams')
  await watched.table(
    'id int primary key, boss int, org numeric, team_no int4, name text, age int, score numeric, mood mood',
    'people',
  )
  await watched.table('id int8 primary key, owner int, title text, cost numeric, due date, net inet', 'tasks')
  await watched.table('task int8, tag text, weight int', 'tags')
  await log.query(`alter table people add constraint a foreign key (boss) references people;
    alter table people add constraint b foreign key (org, team_no) references teams (org, no);
    alter table tasks add constraint c foreign key (owner) references people;
    alter table tags add constraint d foreign key (task) references tasks`)
  const tables = new Map<string, WatchedTable>()
  for (const name of NAMES) tables.set(name, await watched.find(name))
  await log.query(
    `alter table people drop constraint a, drop constraint b; alter table tasks drop constraint c; alter table tags drop constraint d;`,
  )
  await log.query(PLAN_ROWS)
  return tables
}

/** Arbitrary plans over these tables. */
export function anyPlanOf(tables: ReadonlyMap<string, WatchedTable>): fc.Arbitrary<Plan> {
  const byRelid = (relid: string) => [...tables.values()].find(table => table.relid === relid) as WatchedTable

  /** The links of a table in both directions. */
  function linksOf(table: WatchedTable): { link: Link; isOne: boolean }[] {
    const pairs = (
      from: WatchedTable,
      to: WatchedTable,
      local: readonly string[],
      remote: readonly string[],
      operators: readonly string[],
    ) =>
      local.map((name, i) => ({
        local: from.columns.find(one => one.name === name) as WatchedTable['columns'][number],
        remote: to.columns.find(one => one.name === remote[i]) as WatchedTable['columns'][number],
        operator: operators[i] as string,
        collation: null,
      }))
    const forward = (table.foreignKeys ?? []).map(key => {
      const to = byRelid(key.references)
      const link = { relid: to.relid, schema: to.schema, table: to.name, isForward: true }
      return {
        link: { ...link, pairs: pairs(table, to, key.columns, key.referencedColumns, key.operators) },
        isOne: true,
      }
    })
    const backward = [...tables.values()].flatMap(from =>
      (from.foreignKeys ?? [])
        .filter(({ references }) => references === table.relid)
        .map(key => {
          const link = { relid: from.relid, schema: from.schema, table: from.name, isForward: false }
          return {
            link: { ...link, pairs: pairs(table, from, key.referencedColumns, key.columns, key.operators) },
            isOne: false,
          }
        }),
    )
    return [...forward, ...backward]
  }

  const VALUES: Record<string, readonly string[]> = {
  int2: ['1', '2'], int4: ['1', '3', '5'], int8: ['4', '7'], numeric: ['1', '0.50', '2.0'], text: ['Ann', 'z', 't1', 'x2'],
  enum: ['ok', 'happy'], date: ['2026-01-03'], other: ['10.0.0.1', '10.0.0.2'],
} // biome-ignore format: a table

  function anyFilter(table: WatchedTable, depth: number): fc.Arbitrary<Filter> {
    const scope = (of: WatchedTable): ReadonlyMap<string, RelatedScope> =>
    new Map(linksOf(of).map(({ link, isOne }, i) => [`link${i}`, {
      link,
      isMany: !isOne,
      columns: new Map(byRelid(link.relid).columns.map(column => [column.name, column])),
      get relations() { return scope(byRelid(link.relid)) },
    }])) // biome-ignore format: a map
    const where = (of: WatchedTable, level: number): fc.Arbitrary<object> => {
      const condition = fc.constantFrom(...of.columns).chain(({ name, category }) => {
        const values = VALUES[category] ?? []
        const value = (text: string) =>
          category.startsWith('int') && category !== 'int8' ? Number(text) : text
        const operators =
          category === 'other' ? ['eq', 'neq', 'isNull'] : ['eq', 'neq', 'gt', 'lte', 'isNull']
        return fc
          .tuple(fc.constantFrom(...operators), fc.constantFrom(...values))
          .map(([operator, text]) => ({
            [name]: { [operator]: operator === 'isNull' ? true : value(text) },
          }))
      })
      if (level === 0) return condition
      const related = fc.nat(linksOf(of).length - 1).chain(i => {
        const { link, isOne } = linksOf(of)[i] as { link: Link; isOne: boolean }
        const inner = fc.oneof(fc.constant({}), where(byRelid(link.relid), level - 1))
        return fc
          .tuple(inner, fc.constantFrom('some', 'none'))
          .map(([one, how]) => ({ [`link${i}`]: isOne ? one : { [how]: one } }))
      })
      const deeper = where(of, level - 1)
      return fc.oneof(
        condition,
        related,
        fc.array(deeper, { minLength: 1, maxLength: 2 }).map(or => ({ or })),
        fc.array(deeper, { minLength: 1, maxLength: 2 }).map(and => ({ and })),
        deeper.map(not => ({ not })),
      )
    }
    const columns = new Map(table.columns.map(column => [column.name, column]))
    return fc.oneof(
      { weight: 1, arbitrary: fc.constant(EVERYTHING) },
      { weight: 2, arbitrary: where(table, depth).map(one => parseFilter(columns, one, {}, scope(table))) },
    )
  }

  function anyMeasures(table: WatchedTable): fc.Arbitrary<Measure[]> {
    const { count, functions } = typeAggregates(
      table.columns.map(column => ({ column, field: column.name, isGiven: false })),
      new Map(),
    )
    const all = [count, ...[...functions.values()].flat().map(({ measure }) => measure)]
    return fc.subarray(all)
  }

  function anyRows(table: WatchedTable, depth: number, link?: Link, isOne = false): fc.Arbitrary<RowsNode> {
    const names = table.columns.map(({ name }) => name)
    // Rows without a key have an order only if all columns decide it.
    const order = fc
      .tuple(
        fc.shuffledSubarray(
          names.filter(name => name !== 'net'),
          table.key.length > 0 ? { maxLength: 2 } : { minLength: names.length },
        ),
        fc.boolean(),
      )
      .map(([columns, down]) =>
        columns.map(column => ({ column, direction: down ? ('DESC' as const) : ('ASC' as const) })),
      )
    return fc
      .record({
        filter: anyFilter(table, Math.min(depth, 2)),
        columns: fc.subarray(names),
        orderBy: order,
        limit: fc.constantFrom(1, 2, 5, 100),
        offset: fc.constantFrom(0, 0, 0, 1),
        children: anyChildren(table, depth),
      })
      .map(made => ({
        kind: 'rows' as const,
        table,
        link,
        ...made,
        ...(isOne && { filter: EVERYTHING, limit: 1, offset: 0 }),
      }))
  }

  function anyAggregate(table: WatchedTable, depth: number, link?: Link): fc.Arbitrary<AggregateNode> {
    const groupable = typeAggregates(
      table.columns.map(column => ({ column, field: column.name, isGiven: false })),
      new Map(),
    ).groupable
    return fc
      .record({
        filter: anyFilter(table, Math.min(depth, 2)),
        measures: anyMeasures(table),
        by: fc.subarray(
          groupable.map(({ column }) => column.name),
          { minLength: 1, maxLength: 2 },
        ),
        grouped: anyMeasures(table),
        limit: fc.constantFrom(1, 2, 100),
        hasGroups: fc.boolean(),
      })
      .map(({ filter, measures, by, grouped, limit, hasGroups }) => {
        const groups: GroupsNode = { kind: 'groups', table, filter, link, by, measures: grouped, limit }
        return {
          kind: 'aggregate' as const,
          table,
          filter,
          link,
          measures,
          children: new Map(hasGroups ? [['groups', groups]] : []),
        }
      })
  }

  function anyChildren(table: WatchedTable, depth: number): fc.Arbitrary<RowsNode['children']> {
    if (depth === 0) return fc.constant(new Map())
    const child = fc.nat(linksOf(table).length - 1).chain((i): fc.Arbitrary<RowsNode | AggregateNode> => {
      const { link, isOne } = linksOf(table)[i] as { link: Link; isOne: boolean }
      const to = byRelid(link.relid)
      return isOne
        ? anyRows(to, depth - 1, link, true)
        : fc.oneof(anyRows(to, depth - 1, link), anyAggregate(to, depth - 1, link))
    })
    return fc.array(child, { maxLength: 2 }).map(all => new Map(all.map((one, i) => [`child${i}`, one])))
  }

  const anyRoot = (depth: number): fc.Arbitrary<RowsNode | AggregateNode> =>
    fc
      .constantFrom(...tables.values())
      .chain(
        (table): fc.Arbitrary<RowsNode | AggregateNode> =>
          fc.oneof(
            { weight: 4, arbitrary: anyRows(table, depth) },
            { weight: 1, arbitrary: anyAggregate(table, depth - 1) },
          ),
      )
  const anyRoots = fc.array(anyRoot(2), { minLength: 1, maxLength: 3 }).map(
    (all): RootsNode => ({
      kind: 'roots',
      table: (all[0] as RowsNode).table,
      filter: EVERYTHING,
      children: new Map(all.map((one, i) => [`root${i}`, one])),
    }),
  )
  const anyPlan = (): fc.Arbitrary<Plan> =>
    fc
      .oneof({ weight: 5, arbitrary: anyRoot(3) }, { weight: 1, arbitrary: anyRoots })
      .map((root: Plan['root']) => ({
        root,
        [fc.toStringMethod]: () => describePlan({ root }),
        tables: new Map([...tables.values()].map(table => [table.relid, table])),
      }))
  return anyPlan()
}

/** A plan without the catalogue. */
export function describePlan({ root }: Pick<Plan, 'root'>): string {
  return JSON.stringify(root, (key, value: unknown) => {
    if (key === 'table') return (value as { name?: string }).name ?? value
    if (key === 'column' && typeof value === 'object' && value !== null)
      return (value as { name: string }).name
    if (key === 'link') return (value as Link | undefined)?.table
    if (key === 'result') return undefined
    return value instanceof Map ? Object.fromEntries(value) : value
  })
}
