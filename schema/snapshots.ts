import { ListenqlError } from '../src/lib/errors.js'
import { LimitExceeded } from '../src/lib/limits/limit-exceeded.js'
import type { Snapshot } from '../src/snapshots/snapshot-request.js'
import { tableName, text } from './describe.js'
import { createFilterReader, type FilterRef } from './filter-type.js'
import { addOrderType, createOrderReader, type DirectionRef } from './order-by.js'
import type { RowRef } from './row-type.js'
import type { Building, TypedTable } from './table-schema.js'
import { createColumnFinder, usedColumns } from './used-columns.js'

/** Default of the most rows of one snapshot. */
export const MAX_LIMIT = 10_000
export const DEFAULT_LIMIT = 100

export interface SnapshotParts {
  readonly row: RowRef
  readonly filter: FilterRef
  readonly direction: DirectionRef
}

/** `PeopleSnapshot`. */
function addSnapshotType(
  { builder }: Building,
  { table, snapshotType, subscriptionField }: TypedTable,
  row: RowRef,
) {
  return builder.objectRef<Snapshot>(snapshotType).implement({
    description: text(
      `Rows of table ${tableName(table)} as they were at one moment, and the position of that moment in the stream of changes.`,
    ),
    fields: t => ({
      cursor: t.exposeString('cursor', {
        description: `Pass it as \`after\` to \`${subscriptionField}\` to get exactly the changes that these rows do not show yet.`,
      }),
      rows: t.field({
        type: [row],
        description: 'The rows, in the requested order.',
        resolve: ({ rows }) => [...rows],
      }),
    }),
  })
}

/** `people`. */
export function addSnapshots(building: Building, named: TypedTable, parts: SnapshotParts): void {
  const { table, subscriptionField } = named
  const type = addSnapshotType(building, named, parts.row)
  const order = addOrderType(building, named, parts.direction)
  const { filter: filterLimits, rows: maxRows = MAX_LIMIT } = building.limits
  const rows = Math.min(DEFAULT_LIMIT, maxRows)
  const readFilter = createFilterReader(named, filterLimits)
  const readOrder = createOrderReader(named, filterLimits?.conditions)
  const selectedColumns = createColumnFinder(named, ['rows'])
  building.builder.queryField(named.queryField, t =>
    t.field({
      type,
      description: text(
        `The rows of table ${tableName(table)}, and the cursor from which \`${subscriptionField}\` continues.`,
        table.comment,
      ),
      args: {
        where: t.arg({ type: parts.filter, description: 'Only rows that match.' }),
        ...(order && {
          orderBy: t.arg({
            type: [order],
            description:
              'By the first of these, equal rows by the second, and so on; finally by the primary key.',
          }),
        }),
        limit: t.arg.int({ defaultValue: rows, description: `Most rows, up to ${maxRows}.` }),
        offset: t.arg.int({ defaultValue: 0, description: 'Number of rows to skip at the start.' }),
      },
      resolve: (_root, args, context, info) => {
        const filter = readFilter(args.where)
        const orderBy = readOrder('orderBy' in args ? args.orderBy : undefined)
        const columns = selectedColumns(info)
        return context.snapshot(table, {
          filter,
          orderBy,
          limit: within('limit', args.limit ?? rows, maxRows),
          offset: within('offset', args.offset ?? 0, Number.POSITIVE_INFINITY),
          columns,
          used: usedColumns(columns, filter, orderBy),
        })
      },
    }),
  )
}

function within(name: string, value: number, max: number): number {
  if (value < 0) throw new ListenqlError('ARGUMENT_INVALID', `${name}: ${value} is less than 0`)
  if (value > max)
    throw new LimitExceeded(
      'maxRows',
      max,
      `${name}: ${value} is more than ${max}`,
      'read page by page, and subscribe after the cursor of the first page',
    )
  return value
}
