import type { Position } from '../log/position.js'

/** A subscription that has been accepted, as its transport holds it. */
export interface SubscriptionHandle {
  /** Every event up to here has been passed to the transport. Undefined: the position is unknown, or there is no log. */
  position(): Position | undefined
  /** How many results have been passed to the transport. */
  results(): number
  /** Idempotent. @param reason for observations; see `subscriber.left`. Default: `client` */
  leave(reason?: string): void
}
