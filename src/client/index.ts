export { applyChange, type RowChange } from './apply-change.js'
export {
  type ChannelContents,
  type ChannelEvent,
  type ChannelEvents,
  type ChannelEventsOptions,
  channelEvents,
} from './channel/channel-events.js'
export type { ConnectionState, ConnectionStatus } from './connection/connection-status.js'
export { type ClientOptions, createClient, type ListenqlClient } from './create-client.js'
export type { Document, TypedDocument } from './document.js'
export { type LiveQuery, type LiveQueryOptions, liveQuery, type QueryContents } from './query/live-query.js'
export {
  type LiveRows,
  type LiveRowsOptions,
  liveRows,
  type RowOf,
  type RowsContents,
} from './rows/live-rows.js'
export {
  type ChangeOf,
  createRowFeed,
  type FeedChange,
  type RowFeed,
  type RowFeedListener,
  type RowFeedOptions,
} from './rows/row-feed.js'
export type { LiveSnapshot, LiveStore, LiveStoreOptions } from './store/live-store.js'
export type { Store } from './store/store.js'
export type { FeedState, FeedStatus } from './subscription/feed-status.js'
export type { ResumingSink } from './subscription/resuming-sink.js'
export type {
  SubscribingClient,
  SubscriptionPayload,
  SubscriptionResult,
} from './subscription/subscribing-client.js'
export { type ResultError, SubscriptionError } from './subscription/subscription-error.js'
