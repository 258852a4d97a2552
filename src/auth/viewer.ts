import { type Claims, isOfTheToken } from '../lib/claims.js'
import { stableStringify } from '../lib/stable-stringify.js'

/** Who asks, on every transport. */
export interface Viewer {
  /** The Postgres role under which everything is read; undefined where authorisation is not configured: the server's own login. */
  readonly role: string | undefined
  /** What the token says; empty without one. Postgres shows it as `current_setting('request.jwt.claims')`. */
  readonly claims: Claims
  /** When the token was issued (`iat`), in ms since 1970; Infinity without a token. Undefined: it does not say. */
  readonly issuedAt: number | undefined
  /** When everything that was opened with the token ends (`exp`, with the clock tolerance), in ms since 1970. */
  readonly expiresAt: number | undefined
  /** How many kicks this server knew when it accepted the viewer. Undefined: the viewer is not accepted yet. */
  readonly accepted?: number
  /**
   * Whether what decides for the viewer may look at the claims that change with every token. Then those of another token are
   * another viewer's. Default: no.
   */
  readonly seesToken?: boolean
}

/** Everybody, where authorisation is not configured. */
export const ANYBODY: Viewer = { role: undefined, claims: {}, issuedAt: undefined, expiresAt: undefined }

/** What of the claims says who the viewer is: those that stay when a token is renewed. */
export function lastingClaims(claims: Claims): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !isOfTheToken(name)))
}

/** The claims that count for a viewer. */
export function claimsOf({ claims, seesToken }: Pick<Viewer, 'claims' | 'seesToken'>): Claims {
  return seesToken ? claims : lastingClaims(claims)
}

/**
 * Viewers with equal keys may see the same.
 * @param withClaims false where the role alone decides
 */
export function viewerKey(viewer: Viewer, withClaims: boolean): string {
  const role = viewer.role ?? null
  return stableStringify(withClaims ? [role, claimsOf(viewer), viewer.seesToken ?? false] : [role])
}
