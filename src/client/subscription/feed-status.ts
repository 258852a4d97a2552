import type { SubscriptionError } from './subscription-error.js'

/**
 * - `loading`: the rows have not arrived yet.
 * - `live`: the rows are those of the table, and changes arrive.
 * - `catching-up`: the rows are shown as they were, while all of them are read again.
 * - `offline`: the rows are as they were when the connection was lost, or when the server could not continue. The feed tries again.
 * - `failed`: the feed has ended with an error. `refetch` tries again.
 * - `closed`: the feed or its client was disposed of.
 */
export type FeedState = 'loading' | 'live' | 'catching-up' | 'offline' | 'failed' | 'closed'

/** What a feed is doing. A change of status is a new object. */
export interface FeedStatus {
  /** What the rows show at the moment. */
  readonly state: FeedState
  /** When this state began. */
  readonly since: Date
  /** Why the feed has failed or, while it is loading, offline or catching up, why it reads again. */
  readonly error?: SubscriptionError | undefined
}
