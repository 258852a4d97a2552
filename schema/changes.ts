import { unreadableError } from '../src/filters/index.js'
import { ROW_OPERATIONS, type RowChange, type RowOperation } from '../src/sources/tables/row-change.js'
import type { Builder } from './builder.js'
import { tableName, text } from './describe.js'
import type { FilterRef } from './filter-type.js'
import { createFilterReader } from './filter-type.js'
import type { addKeyType, RowRef } from './row-type.js'
import type { Building, TypedTable } from './table-schema.js'
import { createColumnFinder, usedColumns } from './used-columns.js'

const OPERATIONS: Readonly<Record<RowOperation, string>> = {
  INSERT: 'A row was added.',
  UPDATE: 'A row was changed, or written again without a change.',
  DELETE: 'A row was deleted. A change of the primary key is a DELETE and an INSERT.',
  TRUNCATE: 'The whole table was emptied.',
}

export type OperationRef = ReturnType<typeof addOperations>

export function addOperations(builder: Builder) {
  const values = ROW_OPERATIONS.map(name => [name, { description: OPERATIONS[name] }])
  return builder.enumType('Operation', {
    description: 'What a statement did to a table.',
    values: Object.fromEntries(values) as Record<RowOperation, { description: string }>,
  })
}

/** The types that the fields about a table's changes use. */
export interface ChangeParts {
  readonly row: RowRef
  readonly key: ReturnType<typeof addKeyType>
  readonly filter: FilterRef
  readonly operation: OperationRef
}

/** `PeopleChange`. All its resolvers are synchronous: a change is executed once for all equal subscriptions. */
function addChangeType(
  { builder }: Building,
  { table, changeType }: TypedTable,
  { row, key, operation }: ChangeParts,
) {
  return builder.objectRef<RowChange>(changeType).implement({
    description: text(
      `A change of table ${tableName(table)}.`,
      `To keep a list up to date: ${key ? 'if there is a row, put it into the list under its key; if there is none, remove the key' : 'if there is an old row, remove one equal to it; if there is a row, add it'}; on TRUNCATE, clear the list.`,
    ),
    fields: t => ({
      operation: t.field({
        type: operation,
        description: 'What happened in the database, whatever the filter is.',
        resolve: change => change.operation,
      }),
      cursor: t.exposeString('cursor', {
        description: 'The position of this change: pass it as `after` to resume after it.',
      }),
      ...(key && {
        key: t.field({
          type: key,
          nullable: true,
          description: 'The primary key of the row; null on TRUNCATE.',
          resolve: change => change.key,
        }),
      }),
      row: t.field({
        type: row,
        nullable: true,
        description: 'The row after the change; null if it was deleted, or no longer matches the filter.',
        resolve: change => change.row,
      }),
      old: t.field({
        type: row,
        nullable: true,
        description: 'The row before the change; null on INSERT and TRUNCATE.',
        resolve: change => change.old,
      }),
      at: t.field({
        type: 'DateTime',
        description: "When the statement ran, by the database's clock.",
        resolve: change => change.at,
      }),
      transaction: t.exposeString('transaction', {
        description: 'The id of the transaction; all of its changes have the same id and arrive together.',
      }),
    }),
  })
}

/** `peopleChanged`. */
export function addChanges(building: Building, named: TypedTable, parts: ChangeParts): void {
  const { table, subscriptionField, queryField } = named
  const change = addChangeType(building, named, parts)
  const readFilter = createFilterReader(named, building.limits.filter)
  const selectedColumns = createColumnFinder(named, ['key', 'row', 'old'])
  const keyColumns = createColumnFinder(named, ['key'])
  const notNull = new Set(
    named.columns.filter(({ type }) => !type.nullable && !type.isList).map(({ column }) => column.name),
  )
  building.builder.subscriptionField(subscriptionField, t =>
    t.field({
      type: change,
      description: text(
        `Every change of table ${tableName(table)}, in the order of the database, the changes of a transaction together.`,
        `To show a list and keep it up to date, read \`${queryField} { cursor rows }\`, then subscribe with that cursor as \`after\`: each later change arrives exactly once.`,
        table.comment,
      ),
      args: {
        where: t.arg({
          type: parts.filter,
          description:
            'Only changes whose old or new row matches. A row that no longer matches arrives with `row: null`. TRUNCATE always arrives.',
        }),
        operations: t.arg({
          type: [parts.operation],
          description: 'Only these operations. Default: all.',
        }),
        after: t.arg.string({
          description:
            'The cursor of the last change seen, or of a snapshot: resume after it. Default: from now on.',
        }),
      },
      subscribe: async (_root, { where, operations, after }, context, info) => {
        const filter = readFilter(where)
        const source = await context.tableChanges(table, {
          filter,
          operations: operations ?? undefined,
          after: after ?? undefined,
          used: usedColumns(selectedColumns(info), filter),
          usesKey: keyColumns(info).length > 0,
        })
        return context.opensSources ? source : source.iterate()
      },
      resolve(change, _args, _context, info) {
        if (change.fault) throw change.fault
        assertWhole(change, () => selectedColumns(info), notNull)
        return change
      },
    }),
  )
}

/**
 * An unreadable value is null with an error. If its field is not nullable, the whole row would become null, which tells a client to
 * remove it from its list: so the whole change is an error instead.
 * @throws ListenqlError VALUE_NOT_SHOWN
 */
function assertWhole(
  { row, old }: RowChange,
  selected: () => readonly string[],
  notNull: ReadonlySet<string>,
): void {
  for (const image of [row, old]) {
    if (!image?.hasUnreadable) continue
    for (const name of selected()) {
      const reason = notNull.has(name) ? image.unreadable(name) : undefined
      if (reason !== undefined) throw unreadableError(name, reason)
    }
  }
}
