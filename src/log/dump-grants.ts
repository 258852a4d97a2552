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

/** The owners of tables ($1, their oids) or, if $1 is null, of the database, for which pg_dump fails on schema `listenql`. */
const LACKING = `
select r.rolname::text as role
from pg_roles r
where case when $1::oid[] is null then r.oid = (select d.datdba from pg_database d where d.datname = current_database())
    else r.oid in (select c.relowner from pg_class c where c.oid = any ($1::oid[])) end
  and not (has_schema_privilege(r.oid, 'listenql', 'usage') and not exists (
    select from pg_class c where c.relnamespace = 'listenql'::regnamespace
      and case c.relkind when 'S' then not has_sequence_privilege(r.oid, c.oid, 'select')
        when 'r' then not has_table_privilege(r.oid, c.oid, 'select')
        when 'p' then not has_table_privilege(r.oid, c.oid, 'select') end))
order by 1`

/**
 * Notes for `listenql install` and `listenql watch`: one for each owner of a table, or for the owner of the database, that cannot dump
 * schema `listenql`.
 * @param relids oids of the tables. Undefined: the database
 */
export async function notesOnDumps(
  client: ClientBase,
  relids?: readonly string[],
): Promise<readonly string[]> {
  const rows = await ask<{ role: string }>(client, LACKING, [relids ?? null])
  return rows.map(({ role }) => {
    const word = /^\w+$/.test(role) ? role : `'${role.replaceAll("'", "'\\''")}'`
    return `pg_dump of this database fails for role ${role}, which may not read schema listenql; to allow it, which also lets the role read the logged rows of all tables, run as the owner of that schema: listenql install --grant-dump-to ${word}; or dump without that schema: pg_dump --exclude-schema listenql`
  })
}
