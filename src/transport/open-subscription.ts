import type { SubscriptionHandle } from '../delivery/subscription-handle.js'
import type { Hold } from '../lib/limits/client-memory.js'
import type { OperationSummary, SubscriptionKind } from '../lib/observation.js'
import type { Counted } from '../lib/tally.js'
import type { Position } from '../log/position.js'
import type { Topic } from '../sources/source.js'

/** What a subscription takes from the limits of its client. */
export interface Taken {
  /** Of the viewer. Undefined: it does not count. */
  slot: Counted | undefined
  held: Hold | undefined
}

/** A subscription, for observations. */
export interface SubscriptionDescription {
  /** The number of the subscription, from the start of the server. */
  readonly subscription: number
  readonly kind: SubscriptionKind
  readonly topic: Topic
  readonly operation: OperationSummary | undefined
}

/** The connection of a subscription. */
export interface SubscriptionOwner {
  /** Called once, when the subscription has been left. @param reason see `subscriber.left` */
  left(subscription: OpenSubscription, reason: string): void
}

/** One subscription of a connection, from its acceptance until it is left. A class, since each idle subscription has one. */
export class OpenSubscription implements SubscriptionHandle, SubscriptionDescription, Taken {
  readonly subscription: number
  readonly kind: SubscriptionKind
  readonly topic: Topic
  readonly operation: OperationSummary | undefined
  readonly slot: Counted | undefined
  readonly held: Hold | undefined
  /** In ms of performance.now. */
  readonly #since = Math.round(performance.now())
  readonly #owner: SubscriptionOwner
  readonly #joined: SubscriptionHandle
  #isOpen = true

  constructor(
    owner: SubscriptionOwner,
    joined: SubscriptionHandle,
    { slot, held }: Taken,
    { subscription, kind, topic, operation }: SubscriptionDescription,
  ) {
    this.#owner = owner
    this.#joined = joined
    this.slot = slot
    this.held = held
    this.subscription = subscription
    this.kind = kind
    this.topic = topic
    this.operation = operation
  }

  /** How long it has been open, in ms. */
  get lasted(): number {
    return Math.round(performance.now()) - this.#since
  }

  position(): Position | undefined {
    return this.#joined.position()
  }

  results(): number {
    return this.#joined.results()
  }

  leave(reason = 'client'): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#joined.leave()
    this.#owner.left(this, reason)
  }
}
