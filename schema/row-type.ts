import type { RowImage } from '../src/filters/index.js'
import type { PlanRow } from '../src/plan/plan-result.js'
import type { AggregateRef } from './aggregates/aggregates.js'
import { describeColumn, descriptionOf, tableName, text } from './describe.js'
import type { FilterRef } from './filter-type.js'
import { addCells, type Cell } from './image-type.js'
import type { OrderRef } from './order-by.js'
import { MAX_RELATED_ROWS } from './planning/plan-limits.js'
import { IS_RELATION, linkedRows } from './relations.js'
import { rowsArguments } from './rows-arguments.js'
import type { Building, TypedColumn, TypedTable } from './table-schema.js'

export type RowRef = ReturnType<typeof declareRow>

/** The types that the relations to a table use. */
export interface LinkedParts {
  readonly table: TypedTable
  readonly row: RowRef
  readonly filter: FilterRef
  readonly order: OrderRef | undefined
  readonly aggregate: AggregateRef
}

export function declareRow({ builder }: Pick<Building, 'builder'>, { rowType }: TypedTable) {
  return builder.objectRef<PlanRow>(rowType)
}

/** `People`: a row with all its columns, and what it leads to. @param partsOf the types of a table, by its oid */
export function addRowType(
  building: Building,
  { table, columns, relations }: TypedTable,
  ref: RowRef,
  partsOf: (relid: string) => LinkedParts,
): void {
  const extensions = { [IS_RELATION]: true }
  const most = building.limits.relatedRows ?? MAX_RELATED_ROWS
  ref.implement({
    description: text(descriptionOf(table), `A row of table ${tableName(table)}.`),
    fields: t => {
      const cells = addCells(building, t, columns.map(toCell))
      const linked = relations.map(({ field, isMany, to, local, direction }) => {
        const { row, filter, order, table: other } = partsOf(to)
        const by = `by ${local.join(', ')}`
        const name = tableName(other.table)
        const made = isMany
          ? t.field({
              type: [row],
              description: text(`The rows of table ${name} that reference this row.`),
              extensions,
              args: rowsArguments(building, { filter, order, most }),
              resolve: (from, _args, _context, { path }) => [...linkedRows(from, path.key)],
            })
          : t.field({
              type: row,
              nullable: true,
              description: text(
                direction === 'forward'
                  ? `The row of table ${name} that this row references, ${by}; null if there is none that you may see.`
                  : `The row of table ${name} that references this row; null if there is none that you may see.`,
              ),
              extensions,
              resolve: (from, _args, _context, { path }) => linkedRows(from, path.key)[0] ?? null,
            })
        return [field, made] as const
      })
      const counted = relations.flatMap(({ aggregateField, to }) => {
        if (aggregateField === undefined) return []
        const { aggregate, filter, table: other } = partsOf(to)
        const made = t.field({
          type: aggregate,
          description: text(
            `Counts, sums and the like of the rows of table ${tableName(other.table)} that reference this row.`,
          ),
          extensions,
          args: { where: t.arg({ type: filter, description: 'Only rows that match.' }) },
          resolve: (from, _args, _context, { path }) => linkedRows(from, path.key)[0] as PlanRow,
        })
        return [[aggregateField, made] as const]
      })
      const fields = { ...cells, ...Object.fromEntries(linked), ...Object.fromEntries(counted) }
      if (Object.keys(fields).length > 0) return fields
      return {
        _noColumns: t.boolean({
          nullable: true,
          description: 'Always null. The table has no columns, and a GraphQL type needs a field.',
          resolve: () => null,
        }),
      }
    },
  })
}

/** `PeopleKey`: the columns that identify a row; undefined if the table has no key. */
export function addKeyType(building: Building, { table, keyType, rowType, keyColumns }: TypedTable) {
  if (keyColumns.length === 0) return
  return building.builder.objectRef<RowImage>(keyType).implement({
    description: text(
      `The primary key of table ${tableName(table)}, which identifies the ${rowType} of a change.`,
    ),
    fields: t => addCells(building, t, keyColumns.map(toCell)),
  })
}

function toCell({ column, field, type }: TypedColumn): Cell {
  return { field, column, type, description: describeColumn(column) }
}
