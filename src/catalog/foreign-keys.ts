import type { ClientBase } from 'pg'
import { isText } from '../postgres/text-encoding.js'

/** A foreign key of a watched table that references a watched table. */
export interface ForeignKey {
  /** The name of the constraint. */
  readonly name: string
  /** Its columns in this table, in the order of the constraint. */
  readonly columns: readonly string[]
  /** Oid of the referenced table. */
  readonly references: string
  /** The referenced columns, in the same order. */
  readonly referencedColumns: readonly string[]
  /** Operators that compare a referenced column with the column that references it, in the same order: `operator(pg_catalog.=)`. */
  readonly operators: readonly string[]
  /** The collations by which they compare, those of the referenced columns: `pg_catalog."C"`. Null: the type has none. */
  readonly collations: readonly (string | null)[]
  /** Whether a unique index ensures that at most one row of this table references a row. */
  readonly isUnique: boolean
  /** The comment on the constraint. */
  readonly comment: string | null
}

interface Row extends ForeignKey {
  readonly relid: string
}

/**
 * The foreign keys of the tables $1 (oid[]) that reference one of the tables $2 (oid[]). Left out are the copies that Postgres makes for partitions, and temporal keys (PERIOD,
 * from PostgreSQL 18 on), which compare ranges by overlap; and keys whose comparison calls a cast that a user has defined, since it would
 * run with the rights of the server's login. A unique index does not cover tables that inherit from the table
 * (https://www.postgresql.org/docs/current/ddl-inherit.html, Caveats), and under a collation in which different texts are equal it may
 * allow more than the key does.
 */
const FOREIGN_KEYS = `
with recursive linked as (
  select k.oid, p.n, p.operator, a.atttypid as type, b.atttypid as referenced, b.attcollation as collation
  from pg_catalog.pg_constraint k
  cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
    with ordinality p(number, reference, operator, n)
  join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = p.number
  join pg_catalog.pg_attribute b on b.attrelid = k.confrelid and b.attnum = p.reference
  where k.contype = 'f' and k.conrelid = any ($1::pg_catalog.oid[])
), types(oid, type) as (
  select l.oid, u.type from linked l cross join lateral (values (l.type), (l.referenced)) u(type)
  union
  select y.oid, t.typbasetype from types y join pg_catalog.pg_type t on t.oid = y.type where t.typtype = 'd'
)
select k.conrelid::pg_catalog.text as "relid", k.conname::pg_catalog.text as "name", k.confrelid::pg_catalog.text as "references",
  array(select a.attname::pg_catalog.text from pg_catalog.unnest(k.conkey) with ordinality u(number, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number order by u.n) as "columns",
  array(select a.attname::pg_catalog.text from pg_catalog.unnest(k.confkey) with ordinality u(number, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number order by u.n) as "referencedColumns",
  array(select pg_catalog.format('operator(%I.%s)', s.nspname, o.oprname)
    from pg_catalog.unnest(k.conpfeqop) with ordinality u(oid, n) join pg_catalog.pg_operator o on o.oid = u.oid
    join pg_catalog.pg_namespace s on s.oid = o.oprnamespace order by u.n) as "operators",
  array(select case when c.oid is not null then pg_catalog.format('%I.%I', s.nspname, c.collname) end from linked l
    left join pg_catalog.pg_collation c on c.oid = l.collation left join pg_catalog.pg_namespace s on s.oid = c.collnamespace
    where l.oid = k.oid order by l.n) as "collations",
  exists (select from pg_catalog.pg_index x
    where x.indrelid = k.conrelid and x.indisunique and x.indisvalid and x.indpred is null and x.indexprs is null
      and (x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1] <@ k.conkey)
    and not exists (select from linked l join pg_catalog.pg_collation c on c.oid = l.collation
      where l.oid = k.oid and not c.collisdeterministic)
    and not exists (select from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhparent
      where i.inhparent = k.conrelid and c.relkind = 'r') as "isUnique",
  d.description as "comment"
from pg_catalog.pg_constraint k
left join pg_catalog.pg_description d
  on d.objoid = k.oid and d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objsubid = 0
where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any ($1::pg_catalog.oid[]) and k.confrelid = any ($2::pg_catalog.oid[])
  and coalesce(pg_catalog.to_jsonb(k) ->> 'conperiod', 'false') = 'false'
  and not exists (select from linked l join types y on y.oid = l.oid join pg_catalog.pg_operator o on o.oid = l.operator
    join pg_catalog.pg_cast c on c.castsource = y.type and c.casttarget in (o.oprleft, o.oprright)
    where l.oid = k.oid and c.castfunc >= 16384)
order by k.conrelid, k.conname collate "C"`

/** By table. @param relids oids of the tables. @param watched oids of all watched tables */
export async function readForeignKeys(
  client: ClientBase,
  relids: readonly string[],
  watched: readonly string[],
): Promise<ReadonlyMap<string, readonly ForeignKey[]>> {
  const byTable = new Map<string, ForeignKey[]>()
  if (relids.length === 0) return byTable
  const { rows } = await client.query<Row>(FOREIGN_KEYS, [relids, watched])
  for (const { relid, ...key } of rows) {
    // A column whose name is not valid text is left out of the catalogue.
    if (!isText(key.name, ...key.columns, ...key.referencedColumns)) continue
    const keys = byTable.get(relid) ?? []
    byTable.set(relid, keys)
    keys.push(key)
  }
  return byTable
}

/**
 * SQL of the names of foreign keys between watched tables without an index that begins with their columns: each look at the rows that
 * reference a row then reads the whole table. @param condition on the constraint `k`
 */
export const unindexedForeignKeys = (condition: string) => `
select k.conname::pg_catalog.text as "name", k.conrelid::pg_catalog.regclass::pg_catalog.text as "table",
  (select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by u.n)
    from pg_catalog.unnest(k.conkey) with ordinality u(number, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number) as "columns"
from pg_catalog.pg_constraint k
where k.contype = 'f' and k.conparentid = 0 and ${condition}
  and exists (select from listenql.watched w where w.relid = k.conrelid)
  and exists (select from listenql.watched w where w.relid = k.confrelid)
  and not exists (select from pg_catalog.pg_index x
    where x.indrelid = k.conrelid and x.indisvalid and x.indpred is null
      and x.indnkeyatts >= pg_catalog.cardinality(k.conkey)
      and (x.indkey::pg_catalog.int2[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey)
order by 2, 1`

/** A foreign key without an index. */
export interface Unindexed {
  readonly name: string
  /** As SQL: `orders`, `shop.orders`. */
  readonly table: string
  /** As SQL: `customer_id`. */
  readonly columns: string
}

/** What to say of a foreign key without an index, without its table. */
export function unindexedWords({ name, table, columns }: Unindexed): string {
  return `foreign key ${name} has no index, so reading the rows that reference a row reads the whole table: create index on ${table} (${columns})`
}
