import { viewerKey } from '../../auth/viewer.js'
import { EVERYTHING } from '../../filters/index.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import { comparePositions, latest, type Position } from '../../log/position.js'
import { createChangeIndex } from './change-index.js'
import { createChangeMatcher } from './change-matcher.js'
import { createDeliverableView } from './deliverable-view.js'
import type { KnownTables } from './known-tables.js'
import type { Interest, QueuedSubscription, VisibilityRequest } from './waiting-event.js'

export interface QueuedSubscriptionsOptions {
  readonly read: KnownTables['read']
  /** The last subscription has left. */
  readonly onEmpty: () => void
}

const MATCHES_ALL = createChangeMatcher({ filter: EVERYTHING, operations: undefined })

/** The subscriptions of a visibility queue, by viewer, and indexed by their filters to find those that an event may concern. */
export class QueuedSubscriptions {
  readonly #options: QueuedSubscriptionsOptions
  readonly #index = createChangeIndex<QueuedSubscription>()
  readonly #byViewer = new Map<string, Set<QueuedSubscription>>()

  constructor(options: QueuedSubscriptionsOptions) {
    this.#options = options
  }

  /** @param live the log's position: the subscription gets only later events */
  add(request: VisibilityRequest, live: Position | undefined): QueuedSubscription {
    // If policies read the table itself, every event counts: what is delivered next depends on what has been delivered before.
    const matcher = request.delivered ? MATCHES_ALL : request.view.matcher
    const subscription: QueuedSubscription = {
      ...request,
      key: viewerKey(request.viewer, true),
      matcher,
      viewDeliverable: createDeliverableView(request.view),
      from: latest(live, request.after),
      leave: () => undefined,
      hasLeft: false,
    }
    const forget = this.#addToViewer(subscription)
    const stop = this.#index.add(matcher, subscription)
    subscription.leave = () => {
      subscription.hasLeft = true
      stop()
      forget()
      if (this.#index.entries.size === 0) this.#options.onEmpty()
    }
    return subscription
  }

  /** @param key the viewer's key. @returns a copy: the subscriptions may leave while it is iterated */
  ofViewer(key: string): readonly QueuedSubscription[] {
    return [...(this.#byViewer.get(key) ?? [])]
  }

  /** The table and images of an event, and the subscriptions that it may concern. Undefined: it concerns none. */
  interestIn(event: LogEvent): Interest | undefined {
    const read = this.#options.read(event)
    if (!read) return undefined
    const subscriptions: QueuedSubscription[] = []
    // Policies can only hide rows, so the subscriptions that the unrestricted rows may concern are a superset of the recipients.
    this.#index.visit(event, read.images, subscription => {
      const { from, matcher } = subscription
      if (from && comparePositions(event.position, from) <= 0) return
      if (matcher.mayConcern(event, read.images)) subscriptions.push(subscription)
    })
    return subscriptions.length > 0 ? { event, ...read, subscriptions } : undefined
  }

  /** Removes all subscriptions and returns them. */
  clear(): readonly QueuedSubscription[] {
    return this.#index.clear()
  }

  #addToViewer(subscription: QueuedSubscription): Stop {
    const { key } = subscription
    const subscriptions = this.#byViewer.get(key) ?? new Set()
    subscriptions.add(subscription)
    this.#byViewer.set(key, subscriptions)
    return () => {
      subscriptions.delete(subscription)
      if (subscriptions.size === 0 && this.#byViewer.get(key) === subscriptions) this.#byViewer.delete(key)
    }
  }
}
