import pg, { type ClientBase } from 'pg'
import { ask } from '../postgres/lock-retry.js'

/**
 * What a role needs of schema `listenql` so that pg_dump of the whole database does not fail for it: it locks each table and reads
 * each sequence. The role may then read what is logged of all tables. What a later version adds is granted, too.
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

/** Roles that own a table ($1, oid) or, without one, the database, and whose pg_dump fails on schema `listenql`. */
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
 * What to tell the person who installs or watches: the owner of a table, or of the database, cannot dump schema `listenql`.
 * @param relid of the table; undefined: the database
 */
export async function noteOnDumps(client: ClientBase, relid?: string): Promise<string | undefined> {
  const [row] = await ask<{ role: string }>(client, LACKING, [relid ?? null])
  if (!row) return undefined
  const { role } = row
  const word = /^\w+$/.test(role) ? role : `'${role.replaceAll("'", "'\\''")}'`
  return `pg_dump of this database fails for role ${role}, which may not read schema listenql; to allow it, and with that to read what is logged of all tables, run as the owner of that schema: listenql install --grant-dump-to ${word}; or dump without that schema: pg_dump --exclude-schema listenql`
}
