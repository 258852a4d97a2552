import pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { ListenqlError } from '../lib/errors.js'
import { hasSqlState, isStatementError, isTimeout, SQL_STATE } from '../postgres/sql-state.js'
import { textArray } from '../postgres/statements/multi-statement.js'
import type { Prepared } from '../postgres/statements/prepared.js'
import { mayNotBeTaken, noRole } from './access-errors.js'
import { takeRoleSql, takeSettingsSql } from './become.js'
import { CLEAN, endLockedOut } from './policy-transaction.js'
import { PRINT_SETTINGS, RIGHTS, ROLES_TO_TAKE } from './privileges.js'
import { CHANGEABLE, effectiveSettings, type RoleSetting } from './role-settings.js'

export const RIGHTS_PARAMETERS = '(pg_catalog.oid[], pg_catalog.text[])'

/** Which of a role's settings a session can take, by the role and the settings as the catalogue has them. */
export type UsableSettings = Map<string, readonly RoleSetting[]>

/** @returns undefined if it is not known yet */
export function usableOf(
  usable: UsableSettings,
  role: string,
  settings: readonly string[],
): readonly RoleSetting[] | undefined {
  return settings.length === 0 ? [] : usable.get(JSON.stringify([role, settings]))
}

/**
 * SQL that reads the rights of a role, in a transaction with the savepoint `listenql`. The statement must be prepared for the
 * role.
 */
export function readRightsSql(
  { relid }: WatchedTable,
  role: string,
  settings: readonly RoleSetting[],
  prepared: Prepared,
): string {
  const read = prepared.execute(RIGHTS, [textArray([relid]), textArray([role])], role)
  return `${enterToReadSql(role, settings)}; ${read}; ${CLEAN}`
}

function enterToReadSql(role: string, settings: readonly RoleSetting[]): string {
  const path = settings.filter(({ name }) => name.toLowerCase() === 'search_path')
  const takePath = path.length > 0 ? `${takeSettingsSql(path)}; ` : ''
  return `${takeRoleSql(role)}; ${takePath}${PRINT_SETTINGS}`
}

/** The rights of a role as JSON (undefined: the table is gone), or the error that prevented `set role`. */
export type FoundRights = { readonly text: string | undefined } | { readonly error: ListenqlError }

/**
 * Reads the rights of these roles, each under that role, in a transaction with the savepoint `listenql`. `readRightsSql` can
 * read them from then on.
 * @throws LockedOut while a table that a policy names is locked; the transaction is over
 */
export async function readRights(
  client: pg.PoolClient,
  table: WatchedTable,
  roles: readonly string[],
  usable: UsableSettings,
  prepared: Prepared,
): Promise<Map<string, FoundRights>> {
  const { rows } = await client.query<{ role: string; mayBeTaken: boolean; settings: string[] }>(
    ROLES_TO_TAKE,
    [roles],
  )
  const facts = new Map(rows.map(row => [row.role, row]))
  const found = new Map<string, FoundRights>()
  for (const role of roles) {
    const fact = facts.get(role)
    if (!fact) found.set(role, { error: noRole(role) })
    else if (!fact.mayBeTaken) found.set(role, { error: mayNotBeTaken(role) })
    else {
      try {
        const settings = await findUsable(client, role, fact.settings, usable)
        await client.query(enterToReadSql(role, settings))
        await prepared.provide(client, RIGHTS, RIGHTS_PARAMETERS, role)
        const read = prepared.execute(RIGHTS, [textArray([table.relid]), textArray([role])], role)
        found.set(role, { text: (await client.query<{ rights: string }>(read)).rows[0]?.rights })
        await client.query(CLEAN)
      } catch (error) {
        found.set(role, { error: await explain(client, prepared, role, error) })
      }
    }
  }
  return found
}

/** From PostgreSQL 16 on a member may lack the right to SET ROLE; and the role may have been dropped since. */
async function explain(
  client: pg.PoolClient,
  prepared: Prepared,
  role: string,
  error: unknown,
): Promise<ListenqlError> {
  if (isTimeout(error)) await endLockedOut(client, prepared, error)
  if (!hasSqlState(error, SQL_STATE.insufficientPrivilege, SQL_STATE.invalidParameterValue)) throw error
  await client.query(CLEAN)
  return mayNotBeTaken(role)
}

/** When a role logs in, Postgres skips settings that it cannot apply, with a warning. */
async function findUsable(
  client: pg.ClientBase,
  role: string,
  settings: readonly string[],
  usable: UsableSettings,
): Promise<readonly RoleSetting[]> {
  const known = usableOf(usable, role, settings)
  if (known) return known
  const wanted = effectiveSettings(settings)
  const { rows } = await client.query<{ name: string; changeable: boolean }>(CHANGEABLE, [
    wanted.map(({ name }) => name),
  ])
  const changeable = new Set(rows.filter(row => row.changeable).map(row => row.name))
  const found: RoleSetting[] = []
  for (const setting of wanted) {
    if (!changeable.has(setting.name)) continue
    try {
      await client.query(`${takeRoleSql(role)}; ${takeSettingsSql([setting])}`)
      found.push(setting)
    } catch (error) {
      if (!isStatementError(error)) throw error
    }
    await client.query(CLEAN)
  }
  usable.set(JSON.stringify([role, settings]), found)
  return found
}

/** The role's settings that a session can apply, in a transaction with the savepoint `listenql`. */
export async function readSettings(
  client: pg.ClientBase,
  role: string,
  usable: UsableSettings,
): Promise<readonly RoleSetting[]> {
  const { rows } = await client.query<{ settings: string[] }>(ROLES_TO_TAKE, [[role]])
  return rows[0] ? findUsable(client, role, rows[0].settings, usable) : []
}

/** The schemas as a search_path that every role with USAGE on them resolves alike. */
export function schemasSetting(schemas: readonly string[]): RoleSetting {
  return { name: 'search_path', value: schemas.map(name => pg.escapeIdentifier(name)).join(', ') }
}
