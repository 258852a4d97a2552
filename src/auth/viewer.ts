import { type Claims, isOfTheToken, scalarText } from '../lib/claims.js'
import { stableStringify } from '../lib/json/stable-stringify.js'
import type { ViewerName } from '../lib/observation.js'

/** The identity of a client, on every transport. */
export interface Viewer {
  /** The Postgres role under which everything is read; undefined where authorisation is not configured: the server's login. */
  readonly role: string | undefined
  /** The claims of the token; empty without one. Postgres shows them as `current_setting('request.jwt.claims')`. */
  readonly claims: Claims
  /** When the token was issued (`iat`), in ms since 1970; Infinity without a token. Undefined: the token has no `iat`. */
  readonly issuedAt: number | undefined
  /** When the server ends everything that was opened with the token (`exp`, with the clock tolerance), in ms since 1970. */
  readonly expiresAt: number | undefined
  /** How many kicks this server knew when it accepted the viewer. Undefined: the viewer is not accepted yet. */
  readonly accepted?: number
  /**
   * Whether the policies that apply to the viewer may read the claims that differ in every token. Then a new token makes another
   * viewer. Default: no.
   */
  readonly seesToken?: boolean
}

/** The viewer of every client, where authorisation is not configured. */
export const ANONYMOUS: Viewer = { role: undefined, claims: {}, issuedAt: undefined, expiresAt: undefined }

/** Names a viewer in observations. */
export function viewerName({ role, claims }: Viewer): ViewerName {
  return { role, user: scalarText(claims.sub) }
}

/** The claims that identify the viewer: those that stay the same when a token is renewed. */
export function lastingClaims(claims: Claims): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !isOfTheToken(name)))
}

/** The claims that policies may read for this viewer. */
export function claimsOf({ claims, seesToken }: Pick<Viewer, 'claims' | 'seesToken'>): Claims {
  return seesToken ? claims : lastingClaims(claims)
}

/**
 * Viewers with equal keys may see the same rows.
 * @param withClaims false where the role alone decides which rows
 */
export function viewerKey(viewer: Viewer, withClaims: boolean): string {
  const role = viewer.role ?? null
  return stableStringify(withClaims ? [role, claimsOf(viewer), viewer.seesToken ?? false] : [role])
}
