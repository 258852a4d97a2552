import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { type ListenqlError, messageOf } from '../lib/errors.js'
import { hasSqlState, isStatementError, isTimeout, SQL_STATE } from '../postgres/sql-state.js'
import type { Prepared } from '../postgres/statements/prepared.js'
import { cannotBeAsked, outOfReach } from './access-errors.js'
import { takeRoleSql, takeSettingsSql } from './become.js'
import { POLICY_QUERY_PARAMETERS, type PolicyQuery, policyQueryOf } from './policy-sql.js'
import { CLEAN, endLockedOut } from './policy-transaction.js'
import { schemasSetting } from './role-rights.js'
import type { RoleSetting } from './role-settings.js'

/**
 * The role that parses a query, by the viewers' role (which executes it) and text. Postgres does not require USAGE on the
 * schemas that a policy names from a role that selects, but it does from the role that parses the policy as SQL. Undefined: the
 * viewers' role parses it.
 */
export type Readers = Map<string, string | undefined>

/** @returns undefined if the viewers' role parses the query, or has not been found yet */
export function readerOf(
  readers: Readers,
  role: string,
  query: Pick<PolicyQuery, 'text'>,
): string | undefined {
  return readers.get(readerKey(role, query))
}

export function readerKey(role: string, { text }: Pick<PolicyQuery, 'text'>): string {
  return `${role}\n${text}`
}

/** Other roles of the server's login: one of them may have USAGE where neither the viewers' role nor the login has. */
const OTHERS = `
select r.rolname::pg_catalog.text as "role" from pg_catalog.pg_roles r
where r.rolname <> session_user and pg_catalog.pg_has_role(session_user, r.oid,
  case when pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 then 'SET' else 'MEMBER' end)
order by r.rolsuper, r.oid limit 20`

/**
 * Prepares a query in a transaction with the savepoint `listenql`. It prepares it as the viewers' role, because Postgres parses
 * a prepared statement again, under the role that executes it, when an object that it uses has changed. If that role lacks USAGE
 * on a schema that a policy names, it prepares the query as the server's login or another of the login's roles.
 * @param settings of the role, under which the query is executed
 * @returns the error, naming the policy that does not work on images; undefined if the query is prepared
 */
export async function preparePolicyQuery(
  client: pg.PoolClient,
  table: WatchedTable,
  role: string,
  query: PolicyQuery,
  settings: readonly RoleSetting[],
  { prepared, readers }: { readonly prepared: Prepared; readonly readers: Readers },
): Promise<ListenqlError | undefined> {
  const attempt = (asked: PolicyQuery) => tryAs(client, role, asked, settings, prepared)
  const { refusal, reader } = await attempt(query)
  if (refusal === undefined) {
    readers.set(readerKey(role, query), reader)
    return undefined
  }
  for (const policy of query.policies) {
    const alone = policyQueryOf(table, [{ ...policy, isPermissive: true }], query)
    const own = (await attempt(alone)).refusal
    if (own !== undefined) return refusalOf(table, policy.name, own)
  }
  return refusalOf(table, query.policies.map(({ name }) => name).join(', '), refusal)
}

function refusalOf(table: WatchedTable, policy: string, error: unknown): ListenqlError {
  return hasSqlState(error, SQL_STATE.insufficientPrivilege)
    ? outOfReach(table, policy, messageOf(error), "the server's login", error)
    : cannotBeAsked(table, policy, messageOf(error), error)
}

async function tryAs(
  client: pg.PoolClient,
  role: string,
  query: PolicyQuery,
  settings: readonly RoleSetting[],
  prepared: Prepared,
): Promise<{ readonly refusal?: unknown; readonly reader?: string | undefined }> {
  const refusal = await tryOne(client, role, query, settings, role, prepared)
  if (!hasSqlState(refusal, SQL_STATE.insufficientPrivilege)) return { refusal }
  const { rows } = await client.query<{ role: string }>(OTHERS)
  const path = [schemasSetting(query.schemas)]
  for (const reader of ['none', ...rows.map(row => row.role)]) {
    const other = await tryOne(client, reader, query, path, role, prepared)
    if (other === undefined) return { reader }
  }
  return { refusal }
}

async function tryOne(
  client: pg.PoolClient,
  reader: string,
  query: PolicyQuery,
  settings: readonly RoleSetting[],
  role: string,
  prepared: Prepared,
): Promise<unknown> {
  try {
    await client.query(`${CLEAN}; ${takeReaderSql(reader)}`)
    if (settings.length > 0) await client.query(takeSettingsSql(settings))
    await prepared.provide(client, query.text, POLICY_QUERY_PARAMETERS, role)
    return undefined
  } catch (error) {
    if (!isStatementError(error)) throw error
    if (isTimeout(error)) await endLockedOut(client, prepared, error)
    await client.query(CLEAN)
    return error
  }
}

/** SQL that sets the role that parses; `none`: the server's login. */
export function takeReaderSql(reader: string): string {
  return reader === 'none' ? 'set local role none' : takeRoleSql(reader)
}
