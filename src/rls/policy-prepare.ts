import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { type ListenqlError, messageOf } from '../lib/errors.js'
import { hasSqlState, isStatementError, isTimeout, SQL_STATE } from '../postgres/sql-state.js'
import { cannotBeAsked, outOfReach } from './access-errors.js'
import { takeRoleSql, takeSettingsSql } from './become.js'
import { CLEAN, LockedOut, rollBack } from './policy-session.js'
import { POLICY_QUERY_PARAMETERS, type PolicyQuery, policyQueryOf } from './policy-sql.js'
import type { Prepared } from './prepared.js'
import { schemasSetting } from './role-rights.js'
import type { RoleSetting } from './role-settings.js'

/**
 * Under which role queries are read (that of the viewers executes them), by role and text. Postgres wants no USAGE of the
 * schemas that a policy names from a role that selects; whoever reads the policy as SQL needs it. Undefined: the role itself.
 */
export type Readers = Map<string, string | undefined>

export function readerKey(role: string, { text }: Pick<PolicyQuery, 'text'>): string {
  return `${role}\n${text}`
}

/** Other roles of our login, of which one may have USAGE where the role and the login have none. */
const OTHERS = `
select r.rolname::pg_catalog.text as "role" from pg_catalog.pg_roles r
where r.rolname <> session_user and pg_catalog.pg_has_role(session_user, r.oid,
  case when pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 then 'SET' else 'MEMBER' end)
order by r.rolsuper, r.oid limit 20`

/**
 * Prepares a query in a transaction with the savepoint `listenql`: as the role itself, since a statement is read again
 * under the role that executes it when something that it rests on has changed; if that may not use a schema that a policy
 * names, as our login or another of its roles.
 * @param settings of the role, as the query is executed under
 * @returns why it cannot be: which policy does not work on images
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
    if (isTimeout(error)) {
      await rollBack(client, prepared)
      throw new LockedOut('a lock is in the way', { cause: error })
    }
    await client.query(CLEAN)
    return error
  }
}

/** SQL that takes the role of a reader; `none`: our login. */
export function takeReaderSql(reader: string): string {
  return reader === 'none' ? 'set local role none' : takeRoleSql(reader)
}
