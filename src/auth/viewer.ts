import { type Claims, isOfTheToken } from '../lib/claims.js'
import { stableStringify } from '../lib/stable-stringify.js'

/** Who asks, on every transport. */
export interface Viewer {
  /** The Postgres role under which everything is read; undefined where authorisation is not configured: the server's own login. */
  readonly role: string | undefined
  /** What the token says; empty without one. Postgres shows it as `current_setting('request.jwt.claims')`. */
  readonly claims: Claims
  /** When the token was issued (`iat`), in ms since 1970. */
  readonly issuedAt: number | undefined
  /** When everything that was opened with the token ends (`exp`, with the clock tolerance), in ms since 1970. */
  readonly expiresAt: number | undefined
}

/** Everybody, where authorisation is not configured. */
export const ANYBODY: Viewer = { role: undefined, claims: {}, issuedAt: undefined, expiresAt: undefined }

/** What of the claims says who the viewer is: those that stay when a token is renewed. */
export function lastingClaims(claims: Claims): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !isOfTheToken(name)))
}

/**
 * Viewers with equal keys may see the same.
 * @param withClaims false where the role alone decides
 */
export function viewerKey({ role, claims }: Viewer, withClaims: boolean): string {
  return stableStringify(withClaims ? [role ?? null, lastingClaims(claims)] : [role ?? null])
}
