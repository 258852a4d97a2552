import pg from 'pg'
import { claimsOf, type Viewer } from '../auth/viewer.js'
import { stringifyExactJson } from '../lib/json/exact-json.js'
import { UNPIN_SETTINGS } from '../postgres/pinned-settings.js'
import type { RoleSetting } from './role-settings.js'

/** The viewer's effective claims, as Postgres shows them: as JSON, with all digits of their numbers. */
export function claimsText(viewer: Pick<Viewer, 'claims' | 'seesToken'>): string {
  return stringifyExactJson(claimsOf(viewer))
}

/** SQL that sets a role, until the transaction ends or is rolled back to a savepoint. */
export function takeRoleSql(role: string): string {
  return `set local role ${pg.escapeIdentifier(role)}`
}

/** SQL that sets the claims, for as long. @param claims as `claimsText` returns them */
export function takeClaimsSql(claims: string): string {
  return `set local request.jwt.claims = ${pg.escapeLiteral(claims)}`
}

/**
 * SQL that sets settings, for as long. Each value is passed as text, since SET parses a list such as a search_path in its own
 * way. The result is one row of three or more columns.
 */
export function takeSettingsSql(settings: readonly RoleSetting[]): string {
  const calls = settings.map(
    ({ name, value }) => `pg_catalog.set_config(${pg.escapeLiteral(name)}, ${pg.escapeLiteral(value)}, true)`,
  )
  return `select null, null, ${calls.join(', ')}`
}

/**
 * SQL that sets the role, settings and claims of a viewer, in a transaction with PIN_SETTINGS. It turns row_security on, whatever
 * the defaults of the server's login are. It discards plans, because a function may be declared IMMUTABLE and still read the
 * claims: a plan made for one viewer must not serve another.
 */
export function becomeSql(role: string, settings: readonly RoleSetting[], claims: string): string {
  const take = settings.length > 0 ? `${takeSettingsSql(settings)}; ` : ''
  return `discard plans; set local row_security = on; ${takeRoleSql(role)}; ${UNPIN_SETTINGS}; ${take}${takeClaimsSql(claims)}`
}
