import type { Claims } from '../lib/claims.js'
import type { Handshake } from './credentials.js'

/** A viewer, as the function `authenticate` describes it. */
export interface Authenticated {
  /** The Postgres role. Default: that of viewers without a token (`anonymousRole`). */
  readonly role?: string | undefined
  /** A number beyond 2^53 can be given as a bigint. Default: none but `role`. */
  readonly claims?: Claims | undefined
  /** When the session began: kicks before that do not count for it. Default: before all of them. */
  readonly issuedAt?: Date | undefined
  /** When what the viewer has open ends. Default: never. */
  readonly expiresAt?: Date | undefined
}

/**
 * Takes the place of tokens. Returns the viewer, or nothing for a viewer without a name; rejects, with any error, to refuse the
 * viewer.
 */
export type Authenticate = (
  handshake: Handshake,
) => Authenticated | null | undefined | Promise<Authenticated | null | undefined>
