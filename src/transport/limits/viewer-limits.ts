import { lastingClaims, type Viewer } from '../../auth/viewer.js'
import { scalarText } from '../../lib/claims.js'
import { stableStringify } from '../../lib/json/stable-stringify.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { type Counted, createTally } from '../../lib/tally.js'

/** How much one viewer may have open. Without roles viewers cannot be distinguished, and only addresses have limits. */
export interface ViewerLimits {
  /** WebSockets and streams. */
  readonly connections: ViewerLimit
  readonly subscriptions: ViewerLimit
}

export interface ViewerLimit {
  /**
   * @returns pass it to `release` once the thing is closed. Undefined: it does not count
   * @throws LimitExceeded
   */
  take(viewer: Viewer, address: string): Counted | undefined
  /** Call it once for each `take`. */
  release(counted: Counted | undefined): void
}

/** @param options read at each use, since a reload may change them */
export function createViewerLimits(options: {
  readonly maxConnectionsPerViewer: number
  readonly maxSubscriptionsPerViewer: number
}): ViewerLimits {
  return {
    connections: createLimit('maxConnectionsPerViewer', {
      max: () => options.maxConnectionsPerViewer,
      message: max => `You have more than ${max} connections open.`,
      hint: 'close some; one WebSocket carries many subscriptions',
    }),
    subscriptions: createLimit('maxSubscriptionsPerViewer', {
      max: () => options.maxSubscriptionsPerViewer,
      message: max => `You have more than ${max} subscriptions.`,
      hint: 'complete some',
    }),
  }
}

function createLimit(
  name: string,
  { max, message, hint }: { max: () => number; message: (max: number) => string; hint: string },
): ViewerLimit {
  const tally = createTally(max)
  return {
    take(viewer, address) {
      if (viewer.role === undefined) return undefined
      const counted = tally.take(personOf(viewer, address))
      if (counted) return counted
      throw new LimitExceeded(name, max(), message(max()), hint)
    },
    release(counted) {
      if (counted) tally.release(counted)
    },
  }
}

/** Claims that do not identify a person. */
const OF_THE_ISSUER: ReadonlySet<string> = new Set(['aud', 'iss', 'role'])

/**
 * Identifies a person by the claim `sub` if there is one, since other claims (such as that of the session) may differ from token to
 * token; else by all claims. Anonymous viewers are distinguished by their addresses.
 */
export function personOf({ role, claims }: Viewer, address: string): string {
  const { sub, iss } = claims
  if (scalarText(sub) !== undefined && typeof sub !== 'boolean')
    return stableStringify(['sub', iss ?? null, sub])
  const own = Object.entries(lastingClaims(claims)).filter(([name]) => !OF_THE_ISSUER.has(name))
  return stableStringify([role ?? null, own.length > 0 ? Object.fromEntries(own) : address])
}
