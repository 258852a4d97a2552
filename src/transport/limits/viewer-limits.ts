import { lastingClaims, type Viewer } from '../../auth/viewer.js'
import { scalarText } from '../../lib/claims.js'
import { stableStringify } from '../../lib/json/stable-stringify.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { createTally } from '../../lib/tally.js'

/** How much one viewer may have open. Without roles viewers cannot be distinguished, and only addresses have limits. */
export interface ViewerLimits {
  /** A WebSocket or a stream. @returns call it once the connection is closed @throws LimitExceeded */
  connection(viewer: Viewer, address: string): () => void
  /** @returns call it once the subscription has ended @throws LimitExceeded */
  subscription(viewer: Viewer, address: string): () => void
}

export function createViewerLimits(options: {
  readonly maxConnectionsPerViewer: number
  readonly maxSubscriptionsPerViewer: number
}): ViewerLimits {
  const { maxConnectionsPerViewer, maxSubscriptionsPerViewer } = options
  const connections = createTally(maxConnectionsPerViewer)
  const subscriptions = createTally(maxSubscriptionsPerViewer)
  return {
    connection(viewer, address) {
      if (viewer.role === undefined) return () => undefined
      const release = connections.take(personOf(viewer, address))
      if (release) return release
      throw new LimitExceeded(
        'maxConnectionsPerViewer',
        maxConnectionsPerViewer,
        `You have more than ${maxConnectionsPerViewer} connections open.`,
        'close some; one WebSocket carries many subscriptions',
      )
    },
    subscription(viewer, address) {
      if (viewer.role === undefined) return () => undefined
      const release = subscriptions.take(personOf(viewer, address))
      if (release) return release
      throw new LimitExceeded(
        'maxSubscriptionsPerViewer',
        maxSubscriptionsPerViewer,
        `You have more than ${maxSubscriptionsPerViewer} subscriptions.`,
        'complete some',
      )
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
