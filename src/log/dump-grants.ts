import pg, { type ClientBase } from 'pg'
import { ask } from '../postgres/lock-retry.js'

/**
 * SQL that grants a role what pg_dump of the whole database needs in schema `listenql`: pg_dump locks each table and reads each
 * sequence. The role can then read the logged rows of all tables. Objects that later versions add are granted, too.
 */
export function dumpGrantSql(role: string): string {
  const name = pg.escapeIdentifier(role)
  return [
    `grant usage on schema listenql to ${name};`,
    `grant select on all tables in schema listenql to ${name};`,
    `grant select on all sequences in schema listenql to ${name};`,
    `alter default privileges in schema listenql grant select on tables to ${name};`,
    `alter default privileges in schema listenql grant select on sequences to ${name};`,
    '',
  ].join('\n')
}

/** The owner of a table ($1, its oid) or, if $1 is null, of the database, if pg_dump fails on schema `listenql` for that role. */
const LACKING = `
select r.rolname::text as role
from pg_roles r
where r.oid = coalesce((select c.relowner from pg_class c where c.oid = $1::oid),
    (select d.datdba from pg_database d where d.datname = current_database()))
  and not (has_schema_privilege(r.oid, 'listenql', 'usage') and not exists (
    select from pg_class c where c.relnamespace = 'listenql'::regnamespace
      and case c.relkind when 'S' then not has_sequence_privilege(r.oid, c.oid, 'select')
        when 'r' then not has_table_privilege(r.oid, c.oid, 'select')
        when 'p' then not has_table_privilege(r.oid, c.oid, 'select') end))`

/**
 * A note for `listenql install` and `listenql watch` if the owner of the table, or of the database, cannot dump schema `listenql`.
 * @param relid oid of the table. Undefined: the database
 * @returns undefined: the owner can dump it
 */
export async function noteOnDumps(client: ClientBase, relid?: string): Promise<string | undefined> {
  const [row] = await ask<{ role: string }>(client, LACKING, [relid ?? null])
  if (!row) return undefined
  const { role } = row
  const word = /^\w+$/.test(role) ? role : `'${role.replaceAll("'", "'\\''")}'`
  return `pg_dump of this database fails for role ${role}, which may not read schema listenql; to allow it, which also lets the role read the logged rows of all tables, run as the owner of that schema: listenql install --grant-dump-to ${word}; or dump without that schema: pg_dump --exclude-schema listenql`
}
