export { applyChange, type RowChange } from './apply-change.js'
export { type ClientOptions, createClient, type ListenqlClient } from './create-client.js'
export type { Document, TypedDocument } from './document.js'
export type { ResumingSink } from './resuming-sink.js'
export type { FeedState, FeedStatus } from './rows/feed-status.js'
export {
  type ChangeOf,
  createRowFeed,
  type FeedChange,
  type RowFeed,
  type RowFeedListener,
  type RowFeedOptions,
  type SubscribingClient,
} from './rows/row-feed.js'
export { type ResultError, SubscriptionError } from './subscription-error.js'
