import type { ListenqlError } from '../lib/errors.js'
import type { Account } from '../lib/limits/account.js'
import type { ClientMemory } from '../lib/limits/client-memory.js'
import type { Observe } from '../lib/observation.js'
import type { Position } from '../log/position.js'
import type { EventSource } from '../sources/source.js'
import type { Backpressure } from './backpressure.js'
import type { Outbound } from './outbound.js'
import type { Scheduler } from './scheduler.js'

/** What a subscription asks for. Equal keys get equal frames: the first subscriber's `source` and `render` serve all of them. */
export interface SubscriptionRequest<Event> {
  readonly key: string
  /** What it keeps in memory, about, in bytes: its document, variables and filter. */
  readonly bytes: number
  readonly source: EventSource<Event>
  /** Turns an event into what is sent. Synchronous, and never throws. */
  readonly render: (event: Event) => string
  /** What is sent instead of an event that is larger than `maxEvent`. */
  readonly renderTooLarge: (event: Event, bytes: number) => string
  /** What is sent last when the source ends. */
  readonly renderEnd: (error: ListenqlError) => string
  /** The same request under the schema of now; undefined if it is of that. Rejects with ListenqlError SCHEMA_CHANGED if it does not fit. */
  readonly renew: () => Promise<SubscriptionRequest<Event>> | undefined
}

/** Who joins. */
export interface SubscriberOptions {
  /** Id of the subscription within its connection; empty where a connection carries one. */
  readonly id: string
  readonly outbound: Outbound
  /** Pays for the work of finding out which events it wants, while nobody does who came before it. Default: nobody counts. */
  readonly account?: Account | undefined
  /** What it has seen. Default: it wants what comes from now on. */
  readonly after?: Position | undefined
}

export interface SubscriptionHandle {
  /** Everything at or before it has been handed to the transport; undefined where there is no log. */
  position(): Position | undefined
  /** Idempotent. */
  leave(): void
}

export interface GroupOptions {
  /** Largest event that is delivered, in bytes as rendered. */
  readonly maxEvent: number
  readonly scheduler: Scheduler
  readonly backpressure: Backpressure
  readonly memory: ClientMemory
  readonly observe: Observe
}
