import type { Claims } from '../lib/claims.js'
import type { Handshake } from './credentials.js'

/** A viewer, as the function `authenticate` describes it. */
export interface Authenticated {
  /** The Postgres role. Default: that of viewers without a token (`anonymousRole`). */
  readonly role?: string | undefined
  /** Numbers beyond 2^53 can be given as bigint. Default: `role` only. */
  readonly claims?: Claims | undefined
  /** When the session began: earlier kicks do not end it. Default: every kick ends it. */
  readonly issuedAt?: Date | undefined
  /** When the server ends the viewer's connections and streams. Default: never. */
  readonly expiresAt?: Date | undefined
}

/**
 * Used instead of tokens. Returns the viewer, or null or undefined for an anonymous viewer; rejects, with any error, to refuse
 * the viewer.
 */
export type Authenticate = (
  handshake: Handshake,
) => Authenticated | null | undefined | Promise<Authenticated | null | undefined>
