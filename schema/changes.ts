import { type Filter, relatedIn, unreadableError } from '../src/filters/index.js'
import { ListenqlError } from '../src/lib/errors.js'
import {
  ROW_OPERATIONS,
  type RowChange,
  type RowOperation,
  STREAM_OPERATIONS,
  type StreamOperation,
} from '../src/sources/tables/row-change.js'
import type { Builder } from './builder.js'
import { descriptionOf, tableName, text } from './describe.js'
import { createFilterReader, type FilterRef } from './filter-type.js'
import { mostRows } from './planning/plan-limits.js'
import { CHANGES_OF } from './relations.js'
import type { addKeyType, RowRef } from './row-type.js'
import type { Building, TypedTable } from './table-schema.js'
import { createColumnFinder, usedColumns } from './used-columns.js'

/** Longest pace of changes, in ms. */
const MAX_EVERY_MS = 60_000

const OPERATIONS: Readonly<Record<RowOperation, string>> = {
  INSERT: 'A row was added.',
  UPDATE: 'A row was changed, or written again without a change.',
  DELETE: 'A row was deleted. A change of the primary key is a DELETE and an INSERT.',
  TRUNCATE: 'The whole table was emptied.',
}

const STREAM_EVENTS: Readonly<Record<StreamOperation, string>> = {
  READ: 'Only with `initial`: a row that matches when the subscription begins, or begins again after RESET.',
  READY: 'Only with `initial`: all rows have arrived. From now on, changes arrive.',
  RESET:
    'Only with `initial`: changes may have been missed, so the subscription begins again. Clear the list; the rows follow as READ, then READY.',
}

export type OperationRefs = ReturnType<typeof addOperations>

/** Two types, so that clients cannot ask for operations that no statement has. */
export function addOperations(builder: Builder) {
  const values = <Name extends string>(
    descriptions: Readonly<Record<Name, string>>,
    names: readonly Name[],
  ) =>
    Object.fromEntries(names.map(name => [name, { description: descriptions[name] }])) as Record<
      Name,
      { description: string }
    >
  return {
    wanted: builder.enumType('Operation', {
      description: 'What a statement did to a table.',
      values: values(OPERATIONS, ROW_OPERATIONS),
    }),
    delivered: builder.enumType('ChangeOperation', {
      description: 'What a statement did to a table, or what a stream that begins with the rows does.',
      values: values({ ...OPERATIONS, ...STREAM_EVENTS }, [...ROW_OPERATIONS, ...STREAM_OPERATIONS]),
    }),
  }
}

/** The types that the fields about a table's changes use. */
export interface ChangeParts {
  readonly row: RowRef
  readonly key: ReturnType<typeof addKeyType>
  readonly filter: FilterRef
  readonly operation: OperationRefs
  /** All tables, by their oids. */
  readonly tables: ReadonlyMap<string, TypedTable>
}

/** `PeopleChange`. All its resolvers are synchronous: a change is executed once for all equal subscriptions. */
function addChangeType(
  { builder }: Building,
  { table, changeType }: TypedTable,
  { row, key, operation }: Omit<ChangeParts, 'tables'>,
) {
  return builder.objectRef<RowChange>(changeType).implement({
    description: text(
      `A change of table ${tableName(table)}.`,
      `To keep a list up to date: ${key ? 'if there is a row, put it into the list under its key; if there is none, remove the key' : 'if there is an old row, remove one equal to it; if there is a row, add it'}; on TRUNCATE and RESET, clear the list; on READY, do nothing.`,
    ),
    fields: t => ({
      operation: t.field({
        type: operation.delivered,
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
          description: 'The primary key of the row; null on TRUNCATE, READY and RESET.',
          resolve: change => change.key,
        }),
      }),
      row: t.field({
        type: row,
        nullable: true,
        description:
          'The row after the change; null if the row was deleted, or no longer matches the filter.',
        resolve: change => change.row,
      }),
      old: t.field({
        type: row,
        nullable: true,
        description: 'The row before the change; null on INSERT, TRUNCATE, READ, READY and RESET.',
        resolve: change => change.old,
      }),
      at: t.field({
        type: 'DateTime',
        description:
          "When the statement ran, by the database's clock. On READ, READY and RESET: when the rows were read, by the server's clock.",
        resolve: change => change.at,
      }),
      transaction: t.exposeString('transaction', {
        description:
          'The id of the transaction; all changes of a transaction have the same id and arrive together. Empty on READ, READY and RESET.',
      }),
    }),
  })
}

/** `peopleChanged`. */
export function addChanges(building: Building, named: TypedTable, parts: ChangeParts): void {
  const { table, subscriptionField, queryField } = named
  const change = addChangeType(building, named, parts)
  const most = mostRows(building.limits, false)
  const readFilter = createFilterReader(named, building.limits.filter, parts.tables)
  const selectedColumns = createColumnFinder(named, ['key', 'row', 'old'])
  const keyColumns = createColumnFinder(named, ['key'])
  const notNull = new Set(
    named.columns.filter(({ type }) => !type.nullable && !type.isList).map(({ column }) => column.name),
  )
  building.builder.subscriptionField(subscriptionField, t =>
    t.field({
      type: change,
      extensions: { [CHANGES_OF]: queryField },
      description: text(
        `Every change of table ${tableName(table)}, in one order for all clients; the changes of a transaction arrive together.`,
        `To show a list and keep it up to date, read \`${queryField} { cursor rows }\`, then subscribe with that cursor as \`after\`: each later change arrives exactly once.`,
        descriptionOf(table),
      ),
      args: {
        where: t.arg({
          type: parts.filter,
          description:
            'Only changes whose old or new row matches. A row that no longer matches arrives with `row: null`. TRUNCATE always arrives.',
        }),
        operations: t.arg({
          type: [parts.operation.wanted],
          description:
            'Only changes by these operations. Default: all. READ, READY and RESET always arrive with `initial`.',
        }),
        initial: t.arg.boolean({
          defaultValue: false,
          description: `Begin with all rows that match, as READ, then READY with the cursor, then changes: exactly those that the rows do not show. With a position (\`after\`), only the changes after it arrive; if it has expired, RESET, and the rows again. At most ${most} rows.`,
        }),
        every: t.arg.int({
          defaultValue: 0,
          description: `Pace: the changes of each row within this time, in ms, arrive as one: INSERT and UPDATE as INSERT, INSERT and DELETE not at all, DELETE and INSERT as UPDATE. 0: each change arrives by itself. At most ${MAX_EVERY_MS}.`,
        }),
        after: t.arg.string({
          description:
            'The cursor of the last change that the client has seen, or of a snapshot: later changes arrive. Default: only changes from now on.',
        }),
      },
      subscribe: async (_root, { where, operations, after, initial, every }, context, info) => {
        const filter = ofOneTable(readFilter(where))
        const used = usedColumns(selectedColumns(info), filter)
        const source = await context.tableChanges(table, {
          filter,
          operations: operations ?? undefined,
          after: after ?? undefined,
          initial: initial ? { maxRows: most } : undefined,
          every: paceOf(every),
          used,
          meaning: meaningOf(named, used),
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

/** Which columns the fields of a request stand for: the comments in the database may give a name to another column. */
function meaningOf({ table, columns }: TypedTable, used: readonly string[]): string {
  const fields = columns.filter(({ column }) => used.includes(column.name))
  return JSON.stringify([table.relid, ...fields.map(({ field, column }) => [column.number, field])])
}

/** @throws ListenqlError ARGUMENT_INVALID */
function paceOf(every: number | null | undefined): number | undefined {
  const pace = every ?? 0
  if (pace === 0) return undefined
  if (pace > 0 && pace <= MAX_EVERY_MS) return pace
  throw new ListenqlError(
    'ARGUMENT_INVALID',
    `every: ${pace} is ${pace < 0 ? 'less than 0' : `more than ${MAX_EVERY_MS}`}`,
    { hint: `every is a time in ms, from 0 (each change by itself) to ${MAX_EVERY_MS}` },
  )
}

/** @throws ListenqlError FILTER_INVALID */
function ofOneTable(filter: Filter): Filter {
  const [related] = relatedIn(filter)
  if (!related) return filter
  throw new ListenqlError(
    'FILTER_INVALID',
    `where: changes cannot be filtered by linked rows of table ${related.link.table}, which change without an event of this table`,
    { hint: 'filter by the columns of the table itself' },
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
