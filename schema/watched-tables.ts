import { ListenqlError } from '../src/lib/errors.js'
import type { Builder } from './builder.js'
import { typeText } from './column-type.js'
import { descriptionOf } from './describe.js'
import type { TypedColumn, TypedTable } from './table-schema.js'

/** Marks a field in its `extensions`: it cannot be resolved before the watched tables are known. */
export const NEEDS_TABLES = 'needsTables'

/**
 * `watchedTables`: what a client needs to write operations for tables that it does not know.
 * @param tables undefined: not known yet
 */
export function addWatchedTables(builder: Builder, tables: readonly TypedTable[] | undefined): void {
  const column = builder.objectRef<{ table: TypedTable; column: TypedColumn }>('WatchedColumn').implement({
    description: 'A column of a watched table.',
    fields: t => ({
      name: t.string({
        description: 'The name of the column in Postgres.',
        resolve: each => each.column.column.name,
      }),
      field: t.string({
        description: 'The field of the column in GraphQL.',
        resolve: each => each.column.field,
      }),
      type: t.string({
        description: 'The type of the field, such as "[Int]!".',
        resolve: each => typeText(each.column.type),
      }),
      nullable: t.boolean({
        description: 'Whether the field may be null.',
        resolve: each => each.column.type.nullable,
      }),
      isKey: t.boolean({
        description: 'Whether the column belongs to the primary key.',
        resolve: each => each.table.keyColumns.includes(each.column),
      }),
      comment: t.string({
        nullable: true,
        description: 'The comment on the column in Postgres, without the name that it gives (@name).',
        resolve: each => descriptionOf(each.column.column),
      }),
    }),
  })
  const watchedTable = builder.objectRef<TypedTable>('WatchedTable').implement({
    description: 'A table whose changes can be subscribed to, with its names in GraphQL.',
    fields: t => ({
      schema: t.string({
        description: 'The schema of the table in Postgres.',
        resolve: ({ table }) => table.schema,
      }),
      name: t.string({
        description: 'The name of the table in Postgres.',
        resolve: ({ table }) => table.name,
      }),
      comment: t.string({
        nullable: true,
        description: 'The comment on the table in Postgres, without the name that it gives (@name).',
        resolve: ({ table }) => descriptionOf(table),
      }),
      queryField: t.exposeString('queryField', { description: 'The field of Query that returns its rows.' }),
      subscriptionField: t.exposeString('subscriptionField', {
        description: 'The field of Subscription that delivers its changes.',
      }),
      rowType: t.exposeString('rowType', { description: 'The type of its rows.' }),
      key: t.stringList({
        description:
          'The fields of the primary key, in the order of the key; empty if the table has no primary key: then changes have no `key`.',
        resolve: ({ keyColumns }) => keyColumns.map(({ field }) => field),
      }),
      columns: t.field({
        type: [column],
        description: 'Its columns, in the order of the table.',
        resolve: async (table, _args, { readable }) => {
          const names = await readable?.(table.table)
          return table.columns
            .filter(({ column }) => names === undefined || names.includes(column.name))
            .map(each => ({ table, column: each }))
        },
      }),
    }),
  })
  builder.queryField('watchedTables', t =>
    t.field({
      type: [watchedTable],
      description: 'The tables whose changes you can subscribe to, sorted by their names in GraphQL.',
      extensions: { [NEEDS_TABLES]: true },
      resolve: async (_root, _args, { readable }) => {
        if (!tables) throw notKnown()
        const names = await Promise.all(tables.map(({ table }) => readable?.(table)))
        return tables.filter((_, i) => names[i] === undefined || names[i].length > 0)
      },
    }),
  )
}

/** An empty list would mean that no table is watched. */
function notKnown(): ListenqlError {
  return new ListenqlError(
    'DATABASE_FAILED',
    'The database has not answered since the server started, so it is not known which tables are watched.',
    { hint: 'try again later; the log of the server has the reason' },
  )
}
