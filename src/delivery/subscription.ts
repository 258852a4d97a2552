import type { ListenqlError } from '../lib/errors.js'
import type { Account } from '../lib/limits/account.js'
import type { Position } from '../log/position.js'
import type { EventSource } from '../sources/source.js'
import type { Outbound } from './outbound.js'
import type { TransactionFrames } from './transaction-ends.js'

/** The request of a subscription. Requests with equal keys get equal frames, by the `source` and `render` of the first one. */
export interface SubscriptionRequest<Event> {
  readonly key: string
  /** The approximate memory of its document, variables and filter, in bytes. */
  readonly bytes: number
  readonly source: EventSource<Event>
  /** Renders an event to the text that is sent. Synchronous; never throws. */
  readonly render: (event: Event) => string
  /** Renders a part of a large event ahead, until the time is over. Never throws. @returns whether `render` has little left to do */
  readonly prepare?: (event: Event, isOver: () => boolean) => boolean
  /** Renders the text that replaces an event larger than `maxEvent`. @param bytes the size of the event as rendered */
  readonly renderTooLarge: (event: Event, bytes: number) => string
  /** Renders the text that is sent last when the source ends. */
  readonly renderEnd: (error: ListenqlError) => string
  /** The same request under the current schema. Undefined: it already is. Rejects with SCHEMA_CHANGED if it is invalid there. */
  readonly renew: () => Promise<SubscriptionRequest<Event>> | undefined
}

/** The options of one subscriber that joins a group. */
export interface SubscriberOptions {
  /** Id of the subscription within its connection; empty if a connection has only one. */
  readonly id: string
  readonly outbound: Outbound
  /** Pays for filtering the group's events while it is the first subscriber of the group. Default: the work is not counted. */
  readonly account?: Account | undefined
  /** The client network for which the memory of its first rows counts. Default: none. */
  readonly owner?: string | undefined
  /** Tell the client where transactions end. Default: it is not told. */
  readonly transactions?: TransactionFrames | undefined
  /** Resume after this position. Default: start with the next event. */
  readonly after?: Position | undefined
}
