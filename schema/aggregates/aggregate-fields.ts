import type { TableColumn } from '../../src/catalog/watched-table.js'
import { countResult, isGroupable, resultOf } from '../../src/plan/aggregate-sql.js'
import type { Measure } from '../../src/plan/plan.js'
import { type ColumnType, columnType, type EnumTypes } from '../column-type.js'
import type { NamedColumn } from '../names/table-names.js'

export const AGGREGATE_FUNCTIONS = ['sum', 'avg', 'min', 'max'] as const
export type ColumnFunction = (typeof AGGREGATE_FUNCTIONS)[number]

/** A function over a column, as a field in GraphQL. */
export interface TypedMeasure {
  readonly field: string
  readonly column: TableColumn
  readonly measure: Measure
  readonly type: ColumnType
}

/** What can be computed from the rows of a table. */
export interface TypedAggregates {
  readonly count: Measure
  /** By function, in the order of the columns. */
  readonly functions: ReadonlyMap<ColumnFunction, readonly TypedMeasure[]>
  /** The columns that rows can be grouped by. */
  readonly groupable: readonly NamedColumn[]
}

/** Columns of a table have names of any kind, so that the names of results are chosen beside them. They fit into 63 bytes. */
export function typeAggregates(columns: readonly NamedColumn[], enums: EnumTypes): TypedAggregates {
  const names = new Set(columns.map(({ column }) => column.name))
  const free = (wanted: string): string => (names.has(wanted) ? free(`${wanted}_`) : wanted)
  const functions = AGGREGATE_FUNCTIONS.map(of => {
    const measures = columns.flatMap(({ column, field }, i): TypedMeasure[] => {
      const result = resultOf(of, column, free(`${of}_${i}`))
      if (!result) return []
      return [{ field, column, measure: { function: of, column, result }, type: columnType(result, enums) }]
    })
    return [of, measures] as const
  })
  return {
    count: { function: 'count', column: undefined, result: countResult(free('count')) },
    functions: new Map(functions.filter(([, measures]) => measures.length > 0)),
    groupable: columns.filter(({ column }) => isGroupable(column)),
  }
}

/** The measures that an operation selects, each once. @param selected fields of the aggregate, and the fields below each of them */
export function measuresOf(
  { count, functions }: TypedAggregates,
  selected: readonly { readonly name: string; readonly fields: readonly string[] }[],
): Measure[] {
  const all = selected.flatMap(({ name, fields }): Measure[] => {
    if (name === 'count') return [count]
    const measures = functions.get(name as ColumnFunction) ?? []
    return measures.filter(({ field }) => fields.includes(field)).map(({ measure }) => measure)
  })
  return [...new Set(all)]
}
