import type { ClientBase } from 'pg'
import { PIN_SETTINGS } from './pinned-settings.js'
import { type Policy, policiesSql } from './policies.js'

/** What a role may do with a table, as the catalogue says now. */
export interface TableRights {
  readonly relid: string
  readonly role: string
  /** There is such a role. */
  readonly exists: boolean
  /** Our login is a member of it, so that it can read under it. */
  readonly mayBeTaken: boolean
  /** USAGE of the table's schema, and SELECT on the table or on one of its columns at least. */
  readonly mayRead: boolean
  /** The columns that it may SELECT, in the order of the table. */
  readonly columns: readonly string[]
  /** Policies decide which rows it sees: not for superusers, BYPASSRLS and, unless it is forced, who has the owner's rights. */
  readonly hasRowSecurity: boolean
  /** The policies that decide; none if they do not, or let nobody see anything. */
  readonly policies: readonly Policy[]
}

/** The condition under which check_enable_rls (src/backend/utils/misc/rls.c) lets policies decide. `c`: pg_class, `r`: pg_roles. */
const HAS_ROW_SECURITY = `(c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
  and (c.relforcerowsecurity or not pg_catalog.pg_has_role(r.oid, c.relowner, 'usage')))`

/**
 * The rights of roles ($2, text[], by name) on tables ($1, oid[]), each as JSON text that is the same as long as they are. A
 * table that is gone gives no row. To be run under PIN_SETTINGS: policies are written as it is to be read again.
 */
export const RIGHTS = `
select pg_catalog.json_build_object('relid', c.oid::pg_catalog.text, 'role', w.role, 'exists', r.oid is not null,
  'mayBeTaken', coalesce(pg_catalog.pg_has_role(session_user, r.oid, 'member'), false),
  'mayRead', coalesce(pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'usage') and pg_catalog.has_any_column_privilege(r.oid, c.oid, 'select'), false),
  'columns', coalesce((select pg_catalog.json_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'select')), '[]'),
  'hasRowSecurity', coalesce(${HAS_ROW_SECURITY}, true),
  'policies', case when ${HAS_ROW_SECURITY} then ${policiesSql('c.oid', 'r.oid')} else '[]' end)::pg_catalog.text as "rights"
from pg_catalog.pg_class c cross join pg_catalog.unnest($2::pg_catalog.text[]) with ordinality w(role, i)
left join pg_catalog.pg_roles r on r.rolname::pg_catalog.text = w.role
where c.oid = any ($1::pg_catalog.oid[])
order by w.i, c.oid`

/**
 * Reads the rights of each of these roles on each of these tables. Needs a connection that is in no transaction.
 * @throws DatabaseError 55P03 while a table that a policy names is locked
 */
export async function readRights(
  client: ClientBase,
  relids: readonly string[],
  roles: readonly string[],
): Promise<readonly TableRights[]> {
  await client.query(
    `begin isolation level repeatable read read only; ${PIN_SETTINGS}; set local lock_timeout = 1000`,
  )
  try {
    const { rows } = await client.query<{ rights: string }>(RIGHTS, [relids, roles])
    await client.query('commit')
    return rows.map(({ rights }) => JSON.parse(rights) as TableRights)
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/** Rows of the catalogue as one text; every version of a row has another xmin. */
function sum(row: string, from: string): string {
  return `(select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', ${row}), 0))) from ${from})`
}

/**
 * One text of tables ($1, oid[]) and all roles, for a look every second: while it is the same, so are the rights of anybody.
 * (The names in a policy may change without it; whoever uses its text reads it anew.)
 */
export const RIGHTS_DIGEST = `
select pg_catalog.concat_ws(' ',
  ${sum('c.oid, c.relowner, c.relacl, c.relnamespace, c.relrowsecurity, c.relforcerowsecurity, n.nspacl, n.nspowner', 'pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::pg_catalog.oid[])')},
  ${sum('a.attrelid, a.attnum, a.attname, a.attacl', 'pg_catalog.pg_attribute a where a.attrelid = any ($1::pg_catalog.oid[]) and a.attnum > 0')},
  ${sum('p.oid, p.xmin', 'pg_catalog.pg_policy p where p.polrelid = any ($1::pg_catalog.oid[])')},
  ${sum('r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolinherit', 'pg_catalog.pg_roles r')},
  ${sum('m.roleid, m.member, m.xmin', 'pg_catalog.pg_auth_members m')}) as "digest"`
