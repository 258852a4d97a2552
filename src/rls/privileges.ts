import type { ClientBase } from 'pg'
import { type Policy, policiesSql } from './policies.js'
import { roleSettingsSql } from './role-settings.js'

/** What the catalogue says that a role may read of a table, as far as grants decide. */
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
  /** Their numbers (attnum), and those of all columns that there are. */
  readonly numbers: readonly number[]
  readonly allNumbers: readonly number[]
  /** Policies decide which rows it sees: not for superusers, BYPASSRLS and, unless it is forced, who has the owner's rights. */
  readonly hasRowSecurity: boolean
}

/** The same, and all else that decides which rows the role sees. */
export interface RowRights extends TableRights {
  /** None if they do not decide, or let nobody see anything. */
  readonly policies: readonly Policy[]
  /** As `effectiveSettings` reads them. */
  readonly settings: readonly string[]
  /** The schemas in which the role finds names: those of its search_path that are there and that it may use. */
  readonly schemas: readonly string[]
}

/** The condition under which check_enable_rls (src/backend/utils/misc/rls.c) lets policies decide. `c`: pg_class, `r`: pg_roles. */
const HAS_ROW_SECURITY = `(c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
  and (c.relforcerowsecurity or not pg_catalog.pg_has_role(r.oid, c.relowner, 'usage')))`

function columnsSql(of: string, condition = ''): string {
  return `coalesce((select pg_catalog.json_agg(${of} order by a.attnum) from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped ${condition}), '[]')`
}

const SELECTABLE = `and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'select')`

const ACCESS_FIELDS = `'relid', c.oid::pg_catalog.text, 'role', w.role, 'exists', r.oid is not null,
  'mayBeTaken', coalesce(pg_catalog.pg_has_role(session_user, r.oid, 'member'), false),
  'mayRead', coalesce(pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'usage') and pg_catalog.has_any_column_privilege(r.oid, c.oid, 'select'), false),
  'columns', ${columnsSql('a.attname', SELECTABLE)}, 'numbers', ${columnsSql('a.attnum', SELECTABLE)}, 'allNumbers', ${columnsSql('a.attnum')},
  'hasRowSecurity', coalesce(${HAS_ROW_SECURITY}, true)`

function rightsSql(fields: string): string {
  return `
select pg_catalog.json_build_object(${fields})::pg_catalog.text as "rights"
from pg_catalog.pg_class c cross join pg_catalog.unnest($2::pg_catalog.text[]) with ordinality w(role, i)
left join pg_catalog.pg_roles r on r.rolname::pg_catalog.text = w.role
where c.oid = any ($1::pg_catalog.oid[])
order by w.i, c.oid`
}

/** TableRights of roles ($2, text[], by name) on tables ($1, oid[]), as JSON. A table that is gone gives no row. */
const ACCESS = rightsSql(ACCESS_FIELDS)

/**
 * RowRights of one role ($2, text[], of one) on one table ($1, oid[], of one), likewise; the text is the same as long as they
 * are. To be run as that role and under its search_path: policies are written for being read under both again, with values as
 * PRINT_SETTINGS has them, and under locks of the tables that they name.
 */
export const RIGHTS = rightsSql(`${ACCESS_FIELDS},
  'policies', case when ${HAS_ROW_SECURITY} then ${policiesSql('c.oid', 'r.oid')} else '[]' end,
  'settings', ${roleSettingsSql('r.oid')}, 'schemas', pg_catalog.current_schemas(false)`)

/** Settings under which constants are written so that every session reads them as the same. */
export const PRINT_SETTINGS = `set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'iso_8601';
  set local extra_float_digits = 1; set local bytea_output = 'hex'; set local quote_all_identifiers = off`

/** What has to be known before a role is taken ($1, text[], by name): one row for each that there is. */
export const ROLES_TO_TAKE = `
select r.rolname::pg_catalog.text as "role", pg_catalog.pg_has_role(session_user, r.oid, 'member') as "mayBeTaken",
  ${roleSettingsSql('r.oid')} as "settings"
from pg_catalog.pg_roles r where r.rolname::pg_catalog.text = any ($1::pg_catalog.text[])`

/** Rows of the catalogue as one text; every version of a row has another xmin. */
function sum(row: string, from: string): string {
  return `(select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', ${row}), 0))) from ${from})`
}

/**
 * What the rights of roles ($2, text[]) on tables ($1, oid[]) rest on, as one text for each table, each role and the login
 * itself: while three of them are the same, so are the rights of that role on that table. By versions of rows and not by what
 * is in them, so that a GRANT and its REVOKE do not lead back to a former text. Roles count with all that they are members of.
 */
const DIGESTS = `
with recursive up(start, oid) as (
  (select r.rolname::pg_catalog.text, r.oid from pg_catalog.pg_roles r where r.rolname::pg_catalog.text = any ($2::pg_catalog.text[])
  union all select '', r.oid from pg_catalog.pg_roles r where r.rolname = session_user)
  union select up.start, m.roleid from up join pg_catalog.pg_auth_members m on m.member = up.oid
)
select 'table' as "kind", c.oid::pg_catalog.text as "name", pg_catalog.concat_ws(' ', c.xmin, n.oid, n.xmin,
  ${sum('a.attnum, a.xmin', 'pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0')},
  ${sum('p.oid, p.xmin', 'pg_catalog.pg_policy p where p.polrelid = c.oid')}) as "digest"
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::pg_catalog.oid[])
union all
select 'role', up.start, pg_catalog.concat_ws(' ',
  pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolinherit), 0)),
  pg_catalog.sum((select pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', m.roleid, m.member, m.xmin), 0))
    from pg_catalog.pg_auth_members m where m.member = up.oid)))
from up join pg_catalog.pg_roles r on r.oid = up.oid group by up.start`

/** What the rights of roles on tables rest on. */
export interface RightsDigests {
  /** Changes whenever the rights of the role on the table may have changed, and never goes back to a former value. */
  of(relid: string, role: string): string
}

/**
 * @param name keeps the statement prepared in the session; not behind a pooler that hands each transaction to another one
 */
export async function readDigests(
  client: Pick<ClientBase, 'query'>,
  relids: readonly string[],
  roles: readonly string[],
  name?: string,
): Promise<RightsDigests> {
  const { rows } = await client.query<{ kind: 'table' | 'role'; name: string; digest: string }>({
    ...(name !== undefined && { name }),
    text: DIGESTS,
    values: [relids, roles],
  })
  const found = new Map(rows.map(row => [`${row.kind} ${row.name}`, row.digest]))
  const login = found.get('role ')
  return {
    of: (relid, role) => [found.get(`table ${relid}`), found.get(`role ${role}`), login].join(' | '),
  }
}

/**
 * Reads the rights of each of these roles on each of these tables, and what they rest on: the digests are no newer than the
 * rights, so that a change which the rights have or lack gives other digests later. Needs a connection that is in no
 * transaction.
 */
export async function readAccess(
  client: ClientBase,
  relids: readonly string[],
  roles: readonly string[],
): Promise<{ readonly rights: readonly TableRights[]; readonly digests: RightsDigests }> {
  await client.query('begin isolation level repeatable read read only; set local lock_timeout = 1000')
  try {
    const digests = await readDigests(client, relids, roles)
    const { rows } = await client.query<{ rights: string }>(ACCESS, [relids, roles])
    await client.query('commit')
    return { rights: rows.map(({ rights }) => JSON.parse(rights) as TableRights), digests }
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}
