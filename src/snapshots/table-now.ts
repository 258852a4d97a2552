import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { sourcesRewrittenSql } from '../rls/policy-sources.js'

/** The present state of a table, as far as a snapshot of it depends on that. */
export interface TableNow {
  readonly relid: string
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
  /** A table that its policies may read was truncated or rewritten after the snapshot. */
  readonly isUndecided: boolean
}

/**
 * The state of tables $1, which were read by their schemas and names, in the snapshot of the transaction. Run it after the
 * rows were read: until then their lock prevents alterations. pg_relation_filenode returns the present value, the row of pg_class the
 * snapshot's: neither TRUNCATE nor a rewrite is MVCC-safe (https://www.postgresql.org/docs/current/mvcc-caveats.html).
 *
 * One JSON and not three arrays: Postgres expects equally many rows of it whatever it holds, so that it keeps one plan where the statement
 * stays prepared. Each run of it then takes 0.25 ms of a core instead of 1.1 (three tables, PostgreSQL 18.4).
 */
export const TABLES_NOW = tablesNowSql(
  `pg_catalog.row_security_active(q.relid) and ${sourcesRewrittenSql('q.relid')}`,
)

/** The same after a read under the row-level security of another role than the present one. */
export const SECURED_TABLES_NOW = tablesNowSql(sourcesRewrittenSql('q.relid'))

function tablesNowSql(isUndecided: string): string {
  return `
with recursive asked as (select * from json_to_recordset($1) a(relid oid, schema text, name text)),
tree(root, relid) as (
  select relid, relid from asked union select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.relid)
select q.relid::text as "relid", w.generation as "generation", w.since_n as "since",
  (select array_agg(concat(a.atttypid, ' ', a.attname) order by a.attnum) from pg_attribute a
    where a.attrelid = q.relid and a.attnum > 0 and not a.attisdropped) as "columns",
  exists (select from tree t join pg_class c on c.oid = t.relid
    where t.root = q.relid and c.relkind = 'r' and c.relfilenode <> coalesce(pg_relation_filenode(c.oid), 0)) as "isRewritten",
  ${isUndecided} as "isUndecided",
  -- As SQL finds it now: a snapshot may show names of before.
  coalesce((select case when has_schema_privilege(n.oid, 'usage') then to_regclass(format('%I.%I', n.nspname, q.name)) end
    from pg_namespace n where n.nspname = q.schema)::oid = q.relid, false) as "isNamed"
from asked q left join listenql.watched w on w.relid = q.relid`
}

/** What has become of tables since they were known. */
export interface TablesNow {
  /** A table that the snapshot shows in another form than the known one; undefined: there is none. */
  readonly altered: WatchedTable | undefined
  /** A table whose former rows cannot be read any more; undefined: there is none. */
  readonly rewritten: WatchedTable | undefined
  /** A table whose policies may have seen the former rows of other tables as gone; undefined: there is none. */
  readonly undecided: WatchedTable | undefined
  /** A table without a complete history; undefined: there is none. */
  readonly unwatched: WatchedTable | undefined
}

/**
 * @param isSecured whether they were read under row-level security. Default: false
 * @param nameOf finds the name under which the statement stays prepared. Default: it does not
 */
export async function readTablesNow(
  client: pg.ClientBase,
  tables: readonly WatchedTable[],
  isSecured = false,
  nameOf: (text: string) => string | undefined = () => undefined,
): Promise<TablesNow> {
  const text = isSecured ? SECURED_TABLES_NOW : TABLES_NOW
  const { rows } = await client.query<TableNow>({
    name: nameOf(text),
    text,
    values: [tablesParameter(tables)],
  })
  return tablesNowOf(tables, rows)
}

/** The parameter of both. */
export function tablesParameter(tables: readonly WatchedTable[]): string {
  return JSON.stringify(tables.map(({ relid, schema, name }) => ({ relid, schema, name })))
}

/** @param rows what TABLES_NOW has returned for these tables, and maybe for others */
export function tablesNowOf(tables: readonly WatchedTable[], rows: readonly TableNow[]): TablesNow {
  const find = (test: (table: WatchedTable, now: TableNow) => boolean) =>
    tables.find(table => test(table, rows.find(({ relid }) => relid === table.relid) as TableNow))
  return {
    altered: find((table, now) => !isAsKnown(table, now)),
    rewritten: find((_, now) => now.isRewritten),
    undecided: find((_, now) => now.isUndecided),
    unwatched: find((_, now) => now.since === null),
  }
}

function isAsKnown({ generation, columns }: WatchedTable, now: TableNow): boolean {
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

/**
 * Finds those of some tables whose policies apply to the current role. The lock of a read prevents a change.
 * @param oids an array of oids as SQL
 */
export function securedNowSql(oids: string): string {
  return `select relid::pg_catalog.text as relid from pg_catalog.unnest(${oids}::pg_catalog.oid[]) relid
    where pg_catalog.row_security_active(relid) is not false`
}

/** A table whose policies apply to the current role; undefined: there is none. */
export async function findSecured(
  client: pg.ClientBase,
  tables: readonly WatchedTable[],
): Promise<WatchedTable | undefined> {
  const { rows } = await client.query<{ relid: string }>(securedNowSql('$1'), [
    tables.map(({ relid }) => relid),
  ])
  return tables.find(({ relid }) => relid === rows[0]?.relid)
}
