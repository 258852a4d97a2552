import type { Snapshot } from '../src/snapshots/snapshot-request.js'
import { descriptionOf, tableName, text } from './describe.js'
import type { FilterRef } from './filter-type.js'
import { LiveRoots } from './live.js'
import type { OrderRef } from './order-by.js'
import { mostRows } from './planning/plan-limits.js'
import type { Planner } from './planning/planner.js'
import type { RowRef } from './row-type.js'
import { everyArgument, everyOf, rowsArguments } from './rows-arguments.js'
import type { Building, TypedTable } from './table-schema.js'

export interface SnapshotParts {
  readonly row: RowRef
  readonly filter: FilterRef
  readonly order: OrderRef | undefined
  readonly planner: Planner
  readonly livePlanner: Planner
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
        description: `Pass this cursor as \`after\` to \`${subscriptionField}\` to get exactly the changes that these rows do not show yet.`,
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
  const most = (isLive: boolean) => mostRows(building.limits, isLive)
  building.builder.queryField(named.queryField, t =>
    t.field({
      type,
      description: text(
        `The rows of table ${tableName(table)}, and the cursor from which \`${subscriptionField}\` continues.`,
        descriptionOf(table),
      ),
      args: rowsArguments(building, { ...parts, most: most(false) }),
      resolve: (root: unknown, args, context, info) =>
        root instanceof LiveRoots
          ? root.of(info.path.key)
          : context.read(parts.planner.rows(named, args, info)),
    }),
  )
  building.builder.subscriptionField(named.queryField, t =>
    t.field({
      type,
      description: text(
        `A live query: the same as the query \`${named.queryField}\`, at once and whenever its result changes. Each result is exact at its cursor; states in between may be skipped.`,
        descriptionOf(table),
      ),
      args: { ...rowsArguments(building, { ...parts, most: most(true) }), every: everyArgument(building) },
      subscribe: async (_root, args, context, info) => {
        const source = await context.live(parts.livePlanner.rows(named, args, info), everyOf(args))
        return context.opensSources ? source : source.iterate()
      },
      resolve: snapshot => snapshot,
    }),
  )
}
