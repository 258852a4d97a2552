import pg from 'pg'
import { lastingClaims, type Viewer } from './viewer.js'

/** The claims as Postgres shows them: those that stay when a token is renewed, as JSON. */
export function claimsText(claims: Viewer['claims']): string {
  return JSON.stringify(lastingClaims(claims))
}

/**
 * SQL that takes a role and claims until the transaction ends or goes back to a savepoint. Policies of the table then decide,
 * whatever our login's defaults are.
 * @param claims as `claimsText` gives them
 */
export function becomeSql(role: string, claims: string): string {
  return `set local row_security = on; set local role ${pg.escapeIdentifier(role)}; set local request.jwt.claims = ${pg.escapeLiteral(claims)}`
}
