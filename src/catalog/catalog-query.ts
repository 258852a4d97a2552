/**
 * SQL that reads the watched tables. It qualifies every name, so that it works under any search_path. Functions such as
 * has_table_privilege see the newest catalogue, whatever the snapshot is; what they see too early is read again.
 */

/** A row of TABLES. */
export interface TableRow {
  readonly relid: string
  readonly schema: string
  readonly name: string
  readonly comment: string | null
  readonly key: string[]
  readonly generation: number
  readonly wholeFrom: number
  readonly columnFrom: Readonly<Record<string, number>> | null
  readonly sinceN: string
  readonly sinceToken: string
  readonly readable: boolean
}

/**
 * Tables with a complete history: one of them ($1, an oid), or all (null). A snapshot locks the table, which needs SELECT on
 * the whole table.
 */
export const TABLES = `
select w.relid::pg_catalog.text as "relid", w.schema_name as "schema", w.table_name as "name",
  d.description as "comment", w.key_columns as "key", w.generation as "generation", w.whole_from as "wholeFrom",
  pg_catalog.to_jsonb(w) -> 'column_from' as "columnFrom",
  w.since_n as "sinceN", w.since_token as "sinceToken",
  coalesce(pg_catalog.has_schema_privilege(c.relnamespace, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select'), false)
    as "readable"
from listenql.watched w join pg_catalog.pg_class c on c.oid = w.relid
left join pg_catalog.pg_description d
  on d.objoid = c.oid and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid = 0
where w.since_n is not null and ($1::pg_catalog.oid is null or w.relid = $1::pg_catalog.oid)
order by w.schema_name collate "C", w.table_name collate "C"`

/** Only their oids, since names may not be valid text. */
export const RELIDS = `
select w.relid::pg_catalog.text as "relid" from listenql.watched w where w.since_n is not null
order by w.schema_name collate "C", w.table_name collate "C"`

/** Watched tables, with or without a complete history. */
export const WATCHED = `
select w.relid::pg_catalog.text as "relid" from listenql.watched w order by w.relid`

/** A row of COLUMNS. */
export interface ColumnRow {
  readonly relid: string
  readonly name: string
  readonly number: number
  readonly typeOid: number
  readonly typeName: string
  readonly notNull: boolean
  readonly comment: string | null
}

/**
 * The columns of these tables ($1, oid[]) in their order. A column is not null if the table declares it. A domain's NOT NULL is not
 * enough: ALTER DOMAIN drops it without changing the table, and a subquery can bypass it
 * (https://www.postgresql.org/docs/current/sql-createdomain.html, Notes). It may be null if a table below allows null, such as children
 * made with ALTER … NO INHERIT, or if existing rows have not been validated (NOT VALID, from PostgreSQL 18 on).
 */
export const COLUMNS = `
with recursive tree(root, relid) as (
  select o, o from pg_catalog.unnest($1::pg_catalog.oid[]) o
  union
  select t.root, i.inhrelid from tree t join pg_catalog.pg_inherits i on i.inhparent = t.relid
), nullable(root, attname) as (
  select distinct t.root, a.attname from tree t join pg_catalog.pg_attribute a on a.attrelid = t.relid
  where t.relid <> t.root and a.attnum > 0 and not a.attisdropped and not a.attnotnull
)
select a.attrelid::pg_catalog.text as "relid", a.attname::pg_catalog.text as "name", a.attnum::pg_catalog.int4 as "number",
  a.atttypid::pg_catalog.int8::pg_catalog.float8 as "typeOid",
  pg_catalog.format_type(a.atttypid, a.atttypmod) as "typeName",
  a.attnotnull
    and not exists (select from nullable n where n.root = a.attrelid and n.attname = a.attname)
    and not exists (select from pg_catalog.pg_constraint k
      where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum]) as "notNull",
  d.description as "comment"
from pg_catalog.pg_attribute a
left join pg_catalog.pg_description d
  on d.objoid = a.attrelid and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid = a.attnum
where a.attrelid = any ($1::pg_catalog.oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`

/** A row of STATE. */
export interface StateRow {
  /** Changes when the result of `readCatalog` may have changed. It ignores columns: a change of columns makes a new generation. */
  readonly digest: string
  /** Changes when listenql.refresh() may find a change. */
  readonly pulse: string
  /** All watched tables have a complete history. */
  readonly isWhole: boolean
}

/** Digest of catalogue rows as one text; every version of a row has another xmin. */
function sum(row: string, from: string): string {
  return `(select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', ${row}), 0))) from ${from})`
}

/**
 * Whether anything has changed: one row, for a check every second. It costs a hundredth of listenql.refresh(), which visits the
 * tables one by one. Except for the view, every login may read these catalogues. The pulse covers all tables of the database by
 * name, since a dropped one may be created again, and all types that values can consist of.
 */
export const STATE = `
with recursive w as materialized (select * from listenql.watched),
tree(relid) as (
  select relid from w union select i.inhrelid from tree t join pg_catalog.pg_inherits i on i.inhparent = t.relid
)
select pg_catalog.concat_ws(' ',
  ${sum(
    `w.relid, w.schema_name, w.table_name, w.generation, w.whole_from, w.key_columns, w.since_n, w.since_token,
      pg_catalog.has_table_privilege(w.relid, 'select'), pg_catalog.has_schema_privilege(c.relnamespace, 'usage')`,
    'w join pg_catalog.pg_class c on c.oid = w.relid',
  )},
  ${sum(
    'd.objoid, d.objsubid, d.description',
    `w join pg_catalog.pg_description d on d.objoid = w.relid and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass`,
  )},
  ${sum('k.oid, k.xmin', `w join pg_catalog.pg_constraint k on k.conrelid = w.relid where k.contype = 'f'`)},
  ${sum(
    'd.objoid, d.description',
    `w join pg_catalog.pg_constraint k on k.conrelid = w.relid and k.contype = 'f' join pg_catalog.pg_description d
      on d.objoid = k.oid and d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass`,
  )},
  ${sum(
    'x.indexrelid, x.indisvalid, x.indkey',
    'w join pg_catalog.pg_index x on x.indrelid = w.relid where x.indisunique',
  )},
  ${sum('e.oid, e.xmin', 'pg_catalog.pg_enum e')},
  ${sum('t.oid, t.xmin', `pg_catalog.pg_type t where t.oid >= 16384 and t.typrelid = 0 and (t.typelem = 0 or t.typtype = 'd')`)},
  ${sum('k.oid, k.xmin', `pg_catalog.pg_constraint k where k.contype = 'n' and not k.convalidated`)}
) as "digest",
pg_catalog.concat_ws(' ',
  ${sum('t.relid', 'tree t')},
  ${sum('a.attrelid, a.attnum, a.xmin', 'tree t join pg_catalog.pg_attribute a on a.attrelid = t.relid where a.attnum > 0')},
  ${sum('g.oid, g.xmin', 'tree t join pg_catalog.pg_trigger g on g.tgrelid = t.relid')},
  ${sum('x.indexrelid, x.xmin', 'tree t join pg_catalog.pg_index x on x.indrelid = t.relid where x.indisprimary')},
  ${sum('d.oid, d.xmin', 'tree t join pg_catalog.pg_attrdef d on d.adrelid = t.relid')},
  ${sum(
    'c.oid, n.nspname, c.relname, c.relpersistence',
    `pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and c.relpersistence <> 't' and c.oid >= 16384`,
  )},
  ${sum('i.inhrelid, i.inhparent, i.xmin', 'pg_catalog.pg_inherits i')},
  ${sum('e.oid, e.xmin', 'pg_catalog.pg_enum e')},
  ${sum('a.attrelid, a.attnum, a.xmin', `pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid where c.relkind = 'c'`)},
  (select pg_catalog.count(*) from w where w.always)
) as "pulse",
not exists (select from w where w.since_n is null) as "isWhole"`
