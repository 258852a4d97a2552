import pg from 'pg'
import { claimsOf, type Viewer } from '../auth/viewer.js'
import { stringifyExactJson } from '../lib/exact-json.js'
import { UNPIN_SETTINGS } from '../postgres/pinned-settings.js'
import type { RoleSetting } from './role-settings.js'

/** The claims that count for a viewer as Postgres shows them: as JSON, with all digits of their numbers. */
export function claimsText(viewer: Pick<Viewer, 'claims' | 'seesToken'>): string {
  return stringifyExactJson(claimsOf(viewer))
}

/** SQL that takes a role, until the transaction ends or goes back to a savepoint. */
export function takeRoleSql(role: string): string {
  return `set local role ${pg.escapeIdentifier(role)}`
}

/** SQL that takes claims, for as long. @param claims as `claimsText` gives them */
export function takeClaimsSql(claims: string): string {
  return `set local request.jwt.claims = ${pg.escapeLiteral(claims)}`
}

/**
 * SQL that takes settings, for as long: each as text, since SET would read a list such as a search_path its own way. It gives
 * rows of three columns at least.
 */
export function takeSettingsSql(settings: readonly RoleSetting[]): string {
  const calls = settings.map(
    ({ name, value }) => `pg_catalog.set_config(${pg.escapeLiteral(name)}, ${pg.escapeLiteral(value)}, true)`,
  )
  return `select null, null, ${calls.join(', ')}`
}

/**
 * SQL that takes role, settings and claims of a viewer, in a transaction with PIN_SETTINGS; and policies decide, whatever our
 * login's defaults are. What was planned for others before is planned anew: functions may say that they are IMMUTABLE and read
 * the claims all the same.
 */
export function becomeSql(role: string, settings: readonly RoleSetting[], claims: string): string {
  const take = settings.length > 0 ? `${takeSettingsSql(settings)}; ` : ''
  return `discard plans; set local row_security = on; ${takeRoleSql(role)}; ${UNPIN_SETTINGS}; ${take}${takeClaimsSql(claims)}`
}
