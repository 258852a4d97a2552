import type { PlanRow } from '../../src/plan/plan-result.js'
import { cellReader } from '../cell.js'
import { describeColumn, descriptionOf, tableName, text } from '../describe.js'
import type { FilterRef } from '../filter-type.js'
import { addCells } from '../image-type.js'
import { LiveRoots } from '../live.js'
import { labelName } from '../names/identifiers.js'
import { DEFAULT_ROWS, MAX_GROUPS } from '../planning/plan-limits.js'
import type { Planner } from '../planning/planner.js'
import { linkedRows } from '../relations.js'
import { everyArgument, everyOf } from '../rows-arguments.js'
import type { Building, TypedTable } from '../table-schema.js'
import { AGGREGATE_FUNCTIONS, type ColumnFunction, type TypedMeasure } from './aggregate-fields.js'

export type AggregateRef = ReturnType<typeof declareAggregate>

const FUNCTIONS: Readonly<Record<ColumnFunction, string>> = {
  sum: 'The sum of the values of a column; null if there is none. Sums of whole numbers are exact.',
  avg: 'The average of the values of a column; null if there is none.',
  min: 'The smallest value of a column; null if there is none. Texts compare by code point.',
  max: 'The greatest value of a column; null if there is none. Texts compare by code point.',
}

export function declareAggregate({ builder }: Pick<Building, 'builder'>, { aggregateType }: TypedTable) {
  return builder.objectRef<PlanRow>(aggregateType)
}

/** `PeopleAggregate`, and the types of its fields. */
export function addAggregateTypes(building: Building, table: TypedTable, ref: AggregateRef): void {
  const { limits } = building
  const { aggregateType, aggregates } = table
  const functions = AGGREGATE_FUNCTIONS.flatMap(of => {
    const measures = aggregates.functions.get(of)
    return measures ? [[of, addFunction(building, table, of, measures)] as const] : []
  })
  const groups = addGroups(building, table)
  const count = cellReader(aggregates.count.result)

  function implement(to: AggregateRef, description: string, hasGroups: boolean): void {
    to.implement({
      description,
      fields: t => ({
        count: t.field({
          type: 'BigInt',
          description: 'The number of rows.',
          resolve: (row, _args, context) => count(row, context) as string,
        }),
        ...Object.fromEntries(
          functions.map(([of, type]) => [
            of,
            t.field({ type, description: FUNCTIONS[of], resolve: row => row }),
          ]),
        ),
        ...(hasGroups &&
          groups && {
            groups: t.field({
              type: [groups.group],
              description:
                'The same for each group of rows with equal values in these columns, sorted by these values, nulls last.',
              args: {
                groupBy: t.arg({
                  type: [groups.column],
                  required: true,
                  description: 'The columns, one or more.',
                }),
                limit: t.arg.int({
                  defaultValue: Math.min(DEFAULT_ROWS, limits.relatedRows ?? MAX_GROUPS),
                  description: `Most groups, up to ${limits.relatedRows ?? MAX_GROUPS}.`,
                }),
              },
              resolve: (row, _args, _context, info) => [...linkedRows(row, info.path.key)],
            }),
          }),
        ...(!hasGroups &&
          groups && {
            key: t.field({
              type: groups.key,
              description: 'The values that the rows of the group have; those of other columns are null.',
              resolve: row => row,
            }),
          }),
      }),
    })
  }
  implement(ref, text(`Counts, sums and the like of rows of table ${tableName(table.table)}.`), true)
  if (groups)
    implement(
      groups.group,
      text(`Rows of table ${tableName(table.table)} with equal values, in ${aggregateType}.`),
      false,
    )
}

/** `PeopleAggregateSum`. */
function addFunction(
  building: Building,
  { table, aggregateType }: TypedTable,
  of: ColumnFunction,
  measures: readonly TypedMeasure[],
) {
  const name = `${aggregateType}${of.charAt(0).toUpperCase()}${of.slice(1)}`
  return building.builder.objectRef<PlanRow>(name).implement({
    description: text(`${FUNCTIONS[of]} Of table ${tableName(table)}.`),
    fields: t =>
      addCells(
        building,
        t,
        measures.map(({ field, column, measure, type }) => ({
          field,
          column: measure.result,
          shownAs: column.name,
          type,
          description: describeColumn(column),
        })),
      ),
  })
}

/** `PeopleAggregateGroup`, `PeopleAggregateGroupKey` and `PeopleAggregateColumn`; undefined if no column can be grouped by. */
function addGroups(building: Building, { table, aggregateType, aggregates, columns }: TypedTable) {
  const { builder } = building
  const groupable = columns.filter(({ field }) => aggregates.groupable.some(one => one.field === field))
  if (groupable.length === 0) return undefined
  const values = new Map<string, { value: string; description: string }>()
  for (const { field, column } of groupable) {
    let name = labelName(field) // no value of an enum can be named `true`
    while (values.has(name)) name += '_'
    values.set(name, { value: column.name, description: describeColumn(column) })
  }
  const column = builder.enumType(`${aggregateType}Column`, {
    description: text(`A column of table ${tableName(table)} to group by.`),
    values: Object.fromEntries(values),
  })
  const key = builder.objectRef<PlanRow>(`${aggregateType}GroupKey`).implement({
    description: text(`The values that a group of rows of table ${tableName(table)} has.`),
    fields: t =>
      addCells(
        building,
        t,
        groupable.map(({ field, column: of, type }) => ({
          field,
          column: of,
          type: { ...type, nullable: true },
          description: describeColumn(of),
        })),
      ),
  })
  return { column, key, group: builder.objectRef<PlanRow>(`${aggregateType}Group`) }
}

/** `peopleAggregate`. */
export function addAggregateField(
  { builder }: Building,
  named: TypedTable,
  {
    aggregate,
    filter,
    planner,
    livePlanner,
  }: { aggregate: AggregateRef; filter: FilterRef; planner: Planner; livePlanner: Planner },
): void {
  builder.queryField(named.aggregateField, t =>
    t.field({
      type: aggregate,
      description: text(
        `Counts, sums and the like of the rows of table ${tableName(named.table)}.`,
        descriptionOf(named.table),
      ),
      args: { where: t.arg({ type: filter, description: 'Only rows that match.' }) },
      resolve: (root: unknown, args, context, info) => {
        if (root instanceof LiveRoots) return root.of(info.path.key).rows[0] as PlanRow
        return context.read(planner.aggregate(named, args, info)).then(({ rows }) => rows[0] as PlanRow)
      },
    }),
  )
  builder.subscriptionField(named.aggregateField, t =>
    t.field({
      type: aggregate,
      description: text(
        `A live query: the same as the query \`${named.aggregateField}\`, at once and whenever its result changes.`,
        descriptionOf(named.table),
      ),
      args: {
        where: t.arg({ type: filter, description: 'Only rows that match.' }),
        every: everyArgument({ builder }),
      },
      subscribe: async (_root, args, context, info) => {
        const source = await context.live(livePlanner.aggregate(named, args, info), everyOf(args))
        return context.opensSources ? source : source.iterate()
      },
      resolve: ({ rows }) => rows[0] as PlanRow,
    }),
  )
}
