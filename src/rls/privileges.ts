import type { ClientBase } from 'pg'
import type { ListenqlError } from '../lib/errors.js'
import { mayNotBeTaken, mayNotRead, type Named, noRole } from './access-errors.js'
import { type Policy, policiesSql } from './policies.js'
import { roleSettingsSql } from './role-settings.js'

/** What a role may read of a table by its grants, from the catalogue. */
export interface TableRights {
  readonly relid: string
  readonly role: string
  /** The role exists. */
  readonly exists: boolean
  /** The server's login is a member of it, so it can read under this role. */
  readonly mayBeTaken: boolean
  /** USAGE on the table's schema, and SELECT on the table or on at least one of its columns. */
  readonly mayRead: boolean
  /** The columns that it may SELECT, in the order of the table. */
  readonly columns: readonly string[]
  /** Their numbers (attnum), and the numbers of all columns. */
  readonly numbers: readonly number[]
  readonly allNumbers: readonly number[]
  /**
   * Policies decide which rows it sees: not for superusers and BYPASSRLS roles, nor, unless RLS is forced, for roles with the
   * owner's rights.
   */
  readonly hasRowSecurity: boolean
}

/** The error that says why the role may read nothing of the table; undefined if it may read some columns. */
export function missingGrant(
  table: Named,
  { exists, mayBeTaken, mayRead, role }: TableRights,
): ListenqlError | undefined {
  if (!exists) return noRole(role)
  if (!mayBeTaken) return mayNotBeTaken(role)
  return mayRead ? undefined : mayNotRead(table, role)
}

/** What a role may read of a table, and everything else that decides which rows the role sees. */
export interface RowRights extends TableRights {
  /** Empty if policies do not apply, or allow no rows. */
  readonly policies: readonly Policy[]
  /** As `effectiveSettings` takes them. */
  readonly settings: readonly string[]
  /**
   * The server can evaluate policies that only compare columns with claims as Postgres would for this role: the database is in UTF-8, in
   * which equal texts have equal bytes here and there; and the role may execute the functions that compare and read claims, which are
   * those of Postgres.
   */
  readonly comparesAlike: boolean
  /** The schemas in which the role finds names: those of its search_path that exist and on which it has USAGE. */
  readonly schemas: readonly string[]
}

/** The condition under which check_enable_rls (src/backend/utils/misc/rls.c) applies policies. `c`: pg_class, `r`: pg_roles. */
export const HAS_ROW_SECURITY = `(c.relrowsecurity and not r.rolsuper and not r.rolbypassrls
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

/** TableRights of roles ($2, text[], by name) on tables ($1, oid[]), as JSON. A table that is gone returns no row. */
const ACCESS = rightsSql(ACCESS_FIELDS)

/** The functions of policies that only compare columns with claims. Postgres checks the right to execute those of operators, too. */
const DECIDING_FUNCTIONS = [
  'current_setting(pg_catalog.text)',
  'current_setting(pg_catalog.text, pg_catalog.bool)',
  'json_object_field_text(pg_catalog.json, pg_catalog.text)',
  'jsonb_object_field_text(pg_catalog.jsonb, pg_catalog.text)',
  'texteq(pg_catalog.text, pg_catalog.text)',
  'uuid_eq(pg_catalog.uuid, pg_catalog.uuid)',
  ...['2', '24', '28', '4', '42', '48', '8', '82', '84'].map(
    ([left, right = left]) =>
      `int${left}${right === left ? '' : right}eq(pg_catalog.int${left}, pg_catalog.int${right})`,
  ),
].map(name => `'pg_catalog.${name}'::pg_catalog.regprocedure`)

/** See `RowRights.comparesAlike`. INTERNALlanguageId (src/include/catalog/pg_language.dat) is 12. */
const COMPARES_ALIKE = `(pg_catalog.getdatabaseencoding() = 'UTF8' and (
    select coalesce(pg_catalog.bool_and(f.prolang = 12 and pg_catalog.has_function_privilege(r.oid, f.oid, 'execute')), false)
    from pg_catalog.pg_proc f where f.oid = any (array[${DECIDING_FUNCTIONS.join(', ')}]::pg_catalog.oid[])))`

/**
 * RowRights of one role ($2, text[], of one) on one table ($1, oid[], of one), as JSON; the text is equal as long as the rights
 * are. Run it as that role and under its search_path, because the policies are parsed under both later; under PRINT_SETTINGS; and
 * under locks of the tables that the policies name.
 */
export const RIGHTS = rightsSql(`${ACCESS_FIELDS},
  'policies', case when ${HAS_ROW_SECURITY} then ${policiesSql('c.oid', 'r.oid')} else '[]' end,
  'comparesAlike', coalesce(${COMPARES_ALIKE}, false), 'settings', ${roleSettingsSql('r.oid')}, 'schemas', pg_catalog.current_schemas(false)`)

/** Settings under which pg_get_expr writes constants so that every session reads the same values. */
export const PRINT_SETTINGS = `set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'iso_8601';
  set local extra_float_digits = 1; set local bytea_output = 'hex'; set local quote_all_identifiers = off`

/** What is needed before `set role` ($1, text[], by name): one row for each role that exists. */
export const ROLES_TO_TAKE = `
select r.rolname::pg_catalog.text as "role", pg_catalog.pg_has_role(session_user, r.oid, 'member') as "mayBeTaken",
  ${roleSettingsSql('r.oid')} as "settings"
from pg_catalog.pg_roles r where r.rolname::pg_catalog.text = any ($1::pg_catalog.text[])`

/** Digest of catalogue rows as one text; every version of a row has another xmin. */
export function sum(row: string, from: string): string {
  return `(select pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', ${row}), 0))) from ${from})`
}

/**
 * What the rights of roles ($2, text[]) on tables ($1, oid[]) depend on, as one text for each table, each role and the login
 * itself: while the three texts are the same, so are the rights of that role on that table. The digest covers the versions of
 * rows and not their contents, so that a GRANT and its REVOKE never lead back to a former text. A role's digest covers all roles
 * that it is a member of.
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

/** What the rights of roles on tables depend on. */
export interface RightsDigests {
  /** Changes whenever the rights of the role on the table may have changed, and never goes back to a former value. */
  of(relid: string, role: string): string
}

/**
 * @param name keeps the statement prepared in the session; omit it for a pooler in transaction mode
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
 * Reads the rights of each of these roles on each of these tables, with their digests. The digests are never newer than the
 * rights, so that a change during the read leads to other digests later. Needs a connection outside a transaction.
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
