// Tables that policies read may have been truncated or rewritten after the snapshot of the transaction: to that snapshot they are empty
// (https://www.postgresql.org/docs/current/mvcc-caveats.html), so that policies show rows that they hide, or hide rows that they show. The
// same is true of partitions and children that were detached: plans use the present tree.
import { otherTablesSql, transparentSql } from './policies.js'
import { RUNNING_SQL } from './policy-reach.js'

/** The row of pg_class is the snapshot's; pg_relation_filenode returns the present value. @param c an alias of pg_class */
const isRewritten = (c: string) => `${c}.relkind in ('r', 'm') and ${c}.relpersistence <> 't'
    and ${c}.relfilenode <> coalesce(pg_catalog.pg_relation_filenode(${c}.oid), 0)`

/**
 * Whether a transaction has ended by COMMIT. Its 64-bit id is the one closest to the snapshot's.
 * @param xid SQL of type xid
 */
const isCommitted = (
  xid: string,
) => `pg_catalog.pg_xact_status((s.next - ((s.next - ${xid}::pg_catalog.text::int8 + 6442450944) % 4294967296 - 2147483648))
    ::pg_catalog.text::pg_catalog.xid8) is not distinct from 'committed'`
const SNAPSHOT =
  '(select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text::int8 as next) s'

/** A row that the snapshot shows and that a committed transaction has deleted. @param i an alias of pg_inherits */
const isDetached = (i: string) =>
  `case when ${i}.xmax = '0'::pg_catalog.xid then false else (select ${isCommitted(`${i}.xmax`)} from ${SNAPSHOT}) end`

/** It takes 0.1 ms for 300 tables (PostgreSQL 15). */
const ANY_TABLE = `exists (select from pg_catalog.pg_class c where c.oid >= 16384 and ${isRewritten('c')})
    or exists (select from pg_catalog.pg_inherits i where ${isDetached('i')})`

/** @param policy an alias of pg_policy */
const namedTable = (policy: string) => `exists (with recursive named(oid) as (
    ${otherTablesSql(policy)} union select i.inhrelid from named join pg_catalog.pg_inherits i on i.inhparent = named.oid)
    select from named join pg_catalog.pg_class c on c.oid = named.oid where ${isRewritten('c')}
    union all select from named join pg_catalog.pg_inherits i on i.inhparent = named.oid where ${isDetached('i')})`

/**
 * SQL of type boolean: whether a table that the policies of a table may read was truncated, rewritten, dropped or detached after the snapshot. If
 * policies call functions or read views, that is any table of the database, since nothing shows which they read: then the answer may be
 * yes without need, which costs a repeated read. Run it in the transaction after the policies: it finds whatever happened before it.
 * @param relid the table's oid as SQL
 */
export function sourcesRewrittenSql(relid: string): string {
  return `exists (select from pg_catalog.pg_policy p where p.polrelid = ${relid} and case
    when not ${transparentSql('p')} or pg_catalog.pg_get_expr(p.polqual, p.polrelid) ~* '${RUNNING_SQL}' then ${ANY_TABLE}
    else ${namedTable('p')} end)`
}
