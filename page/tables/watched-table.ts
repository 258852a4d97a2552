/** A column of a watched table, as `watchedTables` describes it. */
export interface Column {
  readonly name: string
  readonly field: string
  /** The type of the field, such as `[Int]!`. */
  readonly type: string
  readonly isKey: boolean
  readonly comment: string | null
}

/** A watched table, with its names in GraphQL. */
export interface WatchedTable {
  readonly schema: string
  readonly name: string
  readonly comment: string | null
  readonly queryField: string
  readonly subscriptionField: string
  /** The fields of the primary key; empty if there is none. */
  readonly key: readonly string[]
  readonly columns: readonly Column[]
}

/** A row by its fields. */
export type Row = Readonly<Record<string, unknown>>

/** What the page asks for; it needs no introspection, which is off once viewers have roles. */
export const tablesQuery = `{ watchedTables {
  schema name comment queryField subscriptionField key columns { name field type isKey comment }
} }`

/** More cells in a row would make the page slow. */
const MAX_COLUMNS = 60
/** The document stays below this length, in characters, so that the copied URL is not refused by servers and proxies. */
const MAX_FIELDS_LENGTH = 3000
const GROWING = ['Int', 'BigInt', 'Decimal', 'Float', 'Date', 'DateTime', 'LocalDateTime']
const NUMERIC = ['Int', 'BigInt', 'Decimal', 'Float']

/** The name as in `listenql watch`. */
export const nameOf = ({ schema, name }: Pick<WatchedTable, 'schema' | 'name'>) =>
  schema === 'public' ? name : `${schema}.${name}`

/** The name of a column's type without list and non-null: `[Int]!` is `Int`. */
export const bareType = ({ type }: Pick<Column, 'type'>) => type.replace(/[[\]!]/g, '')

export const isList = ({ type }: Pick<Column, 'type'>) => type.startsWith('[')

export const isNumeric = (column: Pick<Column, 'type'>) =>
  !isList(column) && NUMERIC.includes(bareType(column))

/** The columns to show, key first. If there are too many, the last ones are left out. */
export function shownColumns({ key, columns }: Pick<WatchedTable, 'key' | 'columns'>): readonly Column[] {
  const keys = key.flatMap(field => columns.find(column => column.field === field) ?? [])
  const others = columns.filter(column => !key.includes(column.field))
  let room = MAX_FIELDS_LENGTH
  return [...keys, ...others].filter((column, index) => {
    room -= column.field.length + 1
    return index < keys.length || (room > 0 && index < MAX_COLUMNS)
  })
}

/** Whether the newest row has the greatest key, as with serials and times. Such tables are shown in descending order. */
export function isNewestFirst({ key, columns }: Pick<WatchedTable, 'key' | 'columns'>): boolean {
  const first = columns.find(({ field }) => field === key[0])
  return first !== undefined && !isList(first) && GROWING.includes(bareType(first))
}
