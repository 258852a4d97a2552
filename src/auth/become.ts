import pg from 'pg'
import { lastingClaims, type Viewer } from './viewer.js'

/** The claims as Postgres shows them: those that stay when a token is renewed, as JSON. */
export function claimsText(claims: Viewer['claims']): string {
  return JSON.stringify(lastingClaims(claims))
}

/** SQL that takes a role, until the transaction ends or goes back to a savepoint. */
export function takeRoleSql(role: string): string {
  return `set local role ${pg.escapeIdentifier(role)}`
}

/** SQL that takes claims, for as long. @param claims as `claimsText` gives them */
export function takeClaimsSql(claims: string): string {
  return `set local request.jwt.claims = ${pg.escapeLiteral(claims)}`
}

/** Both; and policies decide, whatever our login's defaults are. */
export function becomeSql(role: string, claims: string): string {
  return `set local row_security = on; ${takeRoleSql(role)}; ${takeClaimsSql(claims)}`
}
