import pg from 'pg'
import { aliasBeside, type ImageKind, imageColumns } from '../catalog/image-sql.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import { columnsOf, type DatabaseText, sortKey, textsOf, toSql } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import { PIN_COLUMNS } from '../postgres/pinned-settings.js'
import type { Column } from '../postgres/types.js'
import { claimsText } from '../rls/become.js'
import type { SnapshotRequest, SortDirection } from './snapshot-request.js'

const ORDER: Readonly<Record<SortDirection, string>> = {
  ASC: 'asc nulls last',
  DESC: 'desc nulls first',
  ASC_NULLS_FIRST: 'asc nulls first',
  ASC_NULLS_LAST: 'asc nulls last',
  DESC_NULLS_FIRST: 'desc nulls first',
  DESC_NULLS_LAST: 'desc nulls last',
}

/** What a read needs to know of a viewer. */
export interface Reader {
  readonly role: string
  /** As `claimsText` returns them. */
  readonly claims: string
  /** Whether policies apply, so that the claims matter. */
  readonly isSecured: boolean
}

/** The rows of a request, as SQL. */
export interface RowsQuery {
  /** Equal for equal requests on one table. */
  readonly key: string
  /** The viewer that the rows are read as; undefined: the server's login. */
  readonly viewer: Reader | undefined
  /** Texts in its filter that the encoding of the database may lack. */
  readonly texts: readonly string[]
  /**
   * Returns one column, the image of a row as the event log would hold it. Run it under PIN_SETTINGS; if policies apply, under the
   * settings of the role: then PIN_SETTINGS are in effect after it.
   */
  sql(
    kinds: ReadonlyMap<number, ImageKind>,
    text: DatabaseText,
  ): { readonly text: string; readonly values: unknown[] }
}

/**
 * Sorts as filters compare: text by code point, citext case-folded, enums in their order, types that are compared as text by that
 * text. Then by the primary key, in the order of its index. Rows of a table without a key that are equal in all requested columns
 * have no order, which may differ from one read to the next.
 * @throws ListenqlError ARGUMENT_INVALID for an unknown column
 */
export function rowsQuery(
  { schema, name, columns: all, key: wholeKey }: WatchedTable,
  { filter, orderBy, limit, offset, viewer, isSecured = true, columns: wanted }: SnapshotRequest,
): RowsQuery {
  const columns = wanted ? all.filter(column => wanted.includes(column.name)) : all
  const key = wanted ? wholeKey.filter(part => wanted.includes(part)) : wholeKey
  const alias = aliasBeside(all)
  const column = (of: string) => `${alias}.${pg.escapeIdentifier(of)}`
  const sorts = orderBy.map(({ column: by, direction }) => {
    const found = all.find(one => one.name === by)
    if (!found) throw new ListenqlError('ARGUMENT_INVALID', `orderBy: there is no column ${by}`)
    return { found, direction }
  })
  const isSorted = new Set(orderBy.map(item => item.column))
  const table = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`

  /** Selects columns of the requested rows; `text`: how the database stores texts. */
  function choose(text?: DatabaseText) {
    const values: unknown[] = []
    const where = toSql(filter, values, alias, text)
    const order = [
      ...sorts.map(
        ({ found, direction }) => `${sortKey(found, column(found.name), text)} ${ORDER[direction]}`,
      ),
      ...key.filter(part => !isSorted.has(part)).map(column),
    ]
    values.push(String(limit), String(offset))
    const rows = (some: readonly Column[], from: string) =>
      `select ${some.map(one => column(one.name)).join(', ')}
    from ${from} ${alias} where ${where} ${order.length > 0 ? `order by ${order.join(', ')}` : ''}
    limit $${values.length - 1}::pg_catalog.int8 offset $${values.length}::pg_catalog.int8`
    return { rows, values }
  }
  const reader =
    viewer?.role === undefined
      ? undefined
      : {
          role: viewer.role,
          claims: isSecured ? claimsText({ ...viewer, seesToken: true }) : '{}',
          isSecured,
        }
  const images = (kinds: ReadonlyMap<number, ImageKind>, from: string, beside = '') =>
    `select pg_catalog.row_to_json(${alias})::pg_catalog.text from (select ${imageColumns(columns, kinds, alias)} from ${from} ${alias} ${beside}) ${alias}`
  const filtered = columnsOf(filter)
  const used = [...all.filter(one => filtered.includes(one.name)), ...sorts.map(({ found }) => found)]
  const plain = choose()
  return {
    key: JSON.stringify([plain.rows(columns, table), plain.values, reader ?? null]),
    viewer: reader,
    texts: textsOf(filter),
    sql(kinds, database) {
      const { rows, values } = choose(database)
      if (!reader?.isSecured) return { text: images(kinds, `(${rows(columns, table)})`), values }
      const ordinal = `${alias}n`
      // Values that are compared by their text in the image are compared after that text is known.
      const isLate = used.some(({ category }) => category === 'other')
      const needed = [...new Set([...columns, ...used, ...all.filter(one => key.includes(one.name))])]
      const seen = isLate
        ? `select ${needed.map(one => column(one.name)).join(', ')}, 0 as ${ordinal} from ${table} ${alias}`
        : `select ${alias}.*, pg_catalog.row_number() over () as ${ordinal} from (${rows(columns, table)}) ${alias}`
      const pinned = `with _lq_seen as materialized (${seen}),
        _lq_all as materialized (select pg_catalog.count(*) from _lq_seen),
        _lq_pins as materialized (select ${PIN_COLUMNS} from _lq_all),
        _lq_rows as materialized (select _lq_seen.* from _lq_pins cross join _lq_seen)`
      const text = isLate
        ? `${pinned} ${images(kinds, `(${rows(columns, '_lq_rows')})`)}`
        : `${pinned} ${images(kinds, '_lq_rows', `order by ${alias}.${ordinal}`)}`
      return { text, values }
    },
  }
}

/** A row of TABLE_NOW. */
export interface TableNow {
  /** Null: not watched. */
  readonly generation: number | null
  /** Null: its history is incomplete. */
  readonly since: string | null
  /** Names and types of its columns. */
  readonly columns: readonly string[] | null
  /** The table, or one below it, was truncated or rewritten after the snapshot: its former rows cannot be read any more. */
  readonly isRewritten: boolean
  /** It still has the name under which it was read. */
  readonly isNamed: boolean
}

/**
 * The present state of table $1, which was read as table $3 of schema $2, in the snapshot of the transaction. Run it after the rows
 * were read: until then their lock prevents alterations. pg_relation_filenode returns the present value, the row of pg_class the
 * snapshot's: neither TRUNCATE nor a rewrite is MVCC-safe (https://www.postgresql.org/docs/current/mvcc-caveats.html).
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

/** Whether the table in the snapshot is the same as the known one. */
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
