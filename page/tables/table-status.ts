import type { FeedState } from '../../src/client/subscription/feed-status.js'
import type { SubscriptionError } from '../../src/client/subscription/subscription-error.js'

/** The state of a list in a few words. `data-state` of the style sheet. */
export interface ListStatus {
  readonly state: 'connecting' | 'listening' | 'waiting' | 'refused'
  readonly text: string
}

/**
 * @param isStale the database cannot be followed at the moment, though the connection to the server stands
 * @param words for what is loaded at first, and for the good state
 */
export function listStatus(
  state: FeedState,
  error: SubscriptionError | undefined,
  isStale: boolean,
  words: { readonly loading: string; readonly live: string },
): ListStatus {
  if (state === 'failed') return { state: 'refused', text: error?.message ?? 'Refused' }
  if (state === 'offline' || state === 'closed')
    return { state: 'waiting', text: error ? `${error.message} Trying again…` : 'Reconnecting…' }
  if (state === 'loading') return { state: 'connecting', text: words.loading }
  if (isStale) return { state: 'waiting', text: 'Waiting for the database' }
  if (state === 'catching-up') return { state: 'waiting', text: 'Catching up…' }
  return { state: 'listening', text: words.live }
}
