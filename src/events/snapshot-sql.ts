import pg from 'pg'
import { becomeSql, claimsText } from '../auth/become.js'
import { viewerKey } from '../auth/viewer.js'
import { aliasBeside, type ImageKind, imageColumns } from '../database/image-sql.js'
import type { WatchedTable } from '../database/watched-table.js'
import { type DatabaseText, sortKey, textsOf, toSql } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import type { SnapshotRequest, SortDirection } from './snapshot-request.js'

const ORDER: Readonly<Record<SortDirection, string>> = {
  ASC: 'asc nulls last',
  DESC: 'desc nulls first',
  ASC_NULLS_FIRST: 'asc nulls first',
  ASC_NULLS_LAST: 'asc nulls last',
  DESC_NULLS_FIRST: 'desc nulls first',
  DESC_NULLS_LAST: 'desc nulls last',
}

/** The rows that a request asks for, as SQL. */
export interface RowsQuery {
  /** Equal for requests that ask for the same of one table. */
  readonly key: string
  /** SQL that takes the viewer's role and claims in a transaction; undefined: it is read under our login. */
  readonly become: string | undefined
  /** The role it is read under. */
  readonly role: string | undefined
  /** Texts of its filter that the encoding of the database may lack. */
  readonly texts: readonly string[]
  /** Gives one column, the image of a row as the event log would hold it. To be run under PIN_SETTINGS. */
  sql(
    kinds: ReadonlyMap<number, ImageKind>,
    text: DatabaseText,
  ): { readonly text: string; readonly values: unknown[] }
}

/**
 * Sorts as filters compare: text by code point, citext folded, enums in their order, types that are compared as text by that
 * text. Then by the primary key, in the order of its index. Rows of a table without key that are equal in all that is asked
 * for have no order: nothing of them is the same from one read to the next.
 * @throws ListenqlError ARGUMENT_INVALID for a column that is not there
 */
export function rowsQuery(
  { schema, name, columns: all, key: wholeKey }: WatchedTable,
  { filter, orderBy, limit, offset, viewer, columns: wanted }: SnapshotRequest,
): RowsQuery {
  const columns = wanted ? all.filter(column => wanted.includes(column.name)) : all
  const key = wanted ? wholeKey.filter(part => wanted.includes(part)) : wholeKey
  const alias = aliasBeside(all)
  const column = (of: string) => `${alias}.${pg.escapeIdentifier(of)}`
  const sorted = orderBy.map(({ column: by, direction }) => {
    const found = all.find(one => one.name === by)
    if (!found) throw new ListenqlError('ARGUMENT_INVALID', `orderBy: there is no column ${by}`)
    return { found, direction }
  })
  const isSorted = new Set(orderBy.map(item => item.column))

  function rows(text?: DatabaseText) {
    const values: unknown[] = []
    const where = toSql(filter, values, alias, text)
    const order = [
      ...sorted.map(
        ({ found, direction }) => `${sortKey(found, column(found.name), text)} ${ORDER[direction]}`,
      ),
      ...key.filter(part => !isSorted.has(part)).map(column),
    ]
    values.push(String(limit), String(offset))
    const sql = `select ${columns.map(({ name: one }) => column(one)).join(', ')}
    from ${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)} ${alias} where ${where}
    ${order.length > 0 ? `order by ${order.join(', ')}` : ''}
    limit $${values.length - 1}::int8 offset $${values.length}::int8`
    return { sql, values }
  }
  return {
    key: JSON.stringify([rows(), viewer ? viewerKey(viewer, true) : null]),
    become: viewer?.role === undefined ? undefined : becomeSql(viewer.role, claimsText(viewer.claims)),
    role: viewer?.role,
    texts: textsOf(filter),
    sql(kinds, database) {
      const { sql, values } = rows(database)
      return {
        text: `select row_to_json(${alias})::text from (select ${imageColumns(columns, kinds, alias)} from (${sql}) ${alias}) ${alias}`,
        values,
      }
    },
  }
}

/** A row of TABLE_NOW. */
export interface TableNow {
  /** Null: not watched. */
  readonly generation: number | null
  /** Null: its history is not whole. */
  readonly since: string | null
  /** Names and types of its columns. */
  readonly columns: readonly string[] | null
  /** The table, or one below it, was truncated or rewritten after the snapshot: nothing shows in it what was there before. */
  readonly isRewritten: boolean
  /** It still has the name under which it was read. */
  readonly isNamed: boolean
}

/**
 * What has become of table $1, which was read as table $3 of schema $2, in the snapshot of the transaction. To be asked after the rows were read: their lock keeps
 * others from altering it until then. pg_relation_filenode tells of now, the row of pg_class of the snapshot: neither
 * TRUNCATE nor a rewrite is MVCC-safe (https://www.postgresql.org/docs/current/mvcc-caveats.html).
 */
export const TABLE_NOW = `
with recursive tree(relid) as (
  select $1::oid union select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.relid)
select w.generation as "generation", w.since_n as "since",
  (select array_agg(concat(a.atttypid, ' ', a.attname) order by a.attnum) from pg_attribute a
    where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped) as "columns",
  exists (select from tree t join pg_class c on c.oid = t.relid
    where c.relkind = 'r' and c.relfilenode <> coalesce(pg_relation_filenode(c.oid), 0)) as "isRewritten",
  -- As SQL finds it now: a snapshot may show names of before.
  coalesce((select case when has_schema_privilege(n.oid, 'usage') then to_regclass(format('%I.%I', n.nspname, $3::text)) end
    from pg_namespace n where n.nspname = $2)::oid = $1::oid, false) as "isNamed"
from (select 1) one left join listenql.watched w on w.relid = $1::oid`

/** Whether what the snapshot shows is the table as it is known. */
export function isAsKnown({ generation, columns }: WatchedTable, now: TableNow): boolean {
  const known = columns.map(({ typeOid, name }) => `${typeOid} ${name}`)
  const found = now.columns ?? []
  return (
    now.generation === generation &&
    now.since !== null &&
    now.isNamed &&
    known.length === found.length &&
    known.every((one, i) => one === found[i])
  )
}
