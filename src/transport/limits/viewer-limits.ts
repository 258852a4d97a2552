import { lastingClaims, type Viewer } from '../../auth/viewer.js'
import { scalarText } from '../../lib/claims.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { stableStringify } from '../../lib/stable-stringify.js'
import { createTally } from '../../lib/tally.js'

/** How much one viewer may have open. Where viewers have no roles nobody is told apart, and only addresses have limits. */
export interface ViewerLimits {
  /** A WebSocket or a stream. @returns to be called once it is closed @throws LimitExceeded */
  connection(viewer: Viewer, address: string): () => void
  /** @returns to be called once it has ended @throws LimitExceeded */
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

/** Claims that say nothing of the person. */
const OF_THE_ISSUER: ReadonlySet<string> = new Set(['aud', 'iss', 'role'])

/**
 * By the claim `sub` if there is one, since others may differ from token to token (that of the session, say); else by all of them.
 * Viewers without a name are told apart by their addresses.
 */
export function personOf({ role, claims }: Viewer, address: string): string {
  const { sub, iss } = claims
  if (scalarText(sub) !== undefined && typeof sub !== 'boolean')
    return stableStringify(['sub', iss ?? null, sub])
  const own = Object.entries(lastingClaims(claims)).filter(([name]) => !OF_THE_ISSUER.has(name))
  return stableStringify([role ?? null, own.length > 0 ? Object.fromEntries(own) : address])
}
