import pg, { type ClientBase } from 'pg'
import type { Column } from '../postgres/types.js'

/** How a value becomes part of an image: unchanged, as the text of its type's output function, or as an array of such texts. */
export type ImageKind = 'plain' | 'text' | 'texts'

/**
 * The kinds of columns of these types ($1, oid[]), by the rules of listenql.is_builtin and listenql.value_sql
 * (sql/migrations/0004_capture.sql), which a server's login may not call.
 */
const KINDS = `
with recursive walk(root, oid) as (
  select o, o from pg_catalog.unnest($1::pg_catalog.oid[]) o
  union
  select w.root, below.oid from walk w join pg_catalog.pg_type t on t.oid = w.oid
  cross join lateral (select case when t.typtype = 'd' then t.typbasetype
    when t.typcategory = 'A' and t.typelem <> 0 then t.typelem end as oid) below
  where w.oid >= 16384 and below.oid is not null
)
select w.root::pg_catalog.int8::pg_catalog.float8 as "oid",
  case when pg_catalog.bool_or(w.oid < 16384) then 'plain'
    when exists (select from pg_catalog.pg_type t where t.oid = w.root and t.typcategory = 'A' and t.typelem <> 0) then 'texts'
    else 'text' end as "kind"
from walk w group by w.root`

export async function readImageKinds(
  client: ClientBase,
  columns: readonly Column[],
): Promise<ReadonlyMap<number, ImageKind>> {
  const oids = [...new Set(columns.map(({ typeOid }) => typeOid))]
  const { rows } = await client.query<{ oid: number; kind: ImageKind }>({
    text: KINDS,
    values: [oids],
  })
  return new Map(rows.map(({ oid, kind }) => [oid, kind]))
}

/** A name for a row that no column begins with: `row_to_json(x)` means the column x if there is one. */
export function aliasBeside(columns: readonly Column[]): string {
  let alias = '_lq_r'
  for (let n = 2; columns.some(({ name }) => name.startsWith(alias)); n++) alias = `_lq_r${n}`
  return alias
}

/**
 * The columns of an image as the triggers select them: `row_to_json` of such a row is the text in the event log.
 * @param key names of the columns of the primary key
 */
export function imageColumns(
  columns: readonly Column[],
  key: readonly string[],
  kinds: ReadonlyMap<number, ImageKind>,
  alias: string,
): string {
  return columns
    .map(({ name, typeOid, isArray }) => {
      const quoted = pg.escapeIdentifier(name)
      const value = valueSql(quoted, kinds.get(typeOid) ?? 'text', `${alias}i`)
      return `${isArray && key.includes(name) ? keySql(quoted, value) : value} as ${quoted}`
    })
    .join(', ')
}

/** The same as listenql.key_value_sql (sql/migrations/0014_meanings.sql). Valid under any search_path. */
function keySql(column: string, value: string): string {
  const text = `pg_catalog.format('%s', ${column})`
  return `case when pg_catalog.starts_with(${text}, '[') then pg_catalog.to_json(${text}) else pg_catalog.to_json(${value}) end`
}

/** The same as listenql.value_sql. Valid under any search_path. */
function valueSql(column: string, kind: ImageKind, index: string): string {
  switch (kind) {
    case 'plain':
      return column
    case 'text':
      return `case when pg_catalog.num_nulls(${column}) = 0 then pg_catalog.format('%s', ${column}) end`
    case 'texts':
      return `case when pg_catalog.num_nulls(${column}) = 1 then null
        when pg_catalog.array_ndims(${column}) > 1 then pg_catalog.to_json(pg_catalog.format('%s', ${column}))
        else pg_catalog.to_json(array(select case when pg_catalog.num_nulls((${column})[${index}]) = 0 then pg_catalog.format('%s', (${column})[${index}]) end
          from pg_catalog.generate_subscripts(${column}, 1) ${index})) end`
  }
}
