import { viewerKey } from '../../auth/viewer.js'
import type { Images } from '../../filters/images.js'
import { EVERYTHING, type Filter, indexKeys } from '../../filters/index.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import { comparePositions, latest, type Position } from '../../log/position.js'
import { claimsText } from '../../rls/become.js'
import type { RowCondition, ViewerCondition } from '../../rls/conditions/viewer-condition.js'
import { createChangeIndex } from './change-index.js'
import { createChangeMatcher } from './change-matcher.js'
import { createDeliverableView } from './deliverable-view.js'
import type { KnownTables } from './known-tables.js'
import type {
  DecidedSubscription,
  Interest,
  QueuedSubscription,
  VisibilityRequest,
  WaitingEvent,
} from './waiting-event.js'

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
  readonly #byRole = new Map<string, Map<QueuedSubscription, Stop>>()
  /** By their filters alone: those whose filters have equality conditions, and the number of the others. */
  readonly #byFilter = createChangeIndex<QueuedSubscription>()
  #unfiltered = 0
  /** By role; see `useConditions`. */
  #conditions: ReadonlyMap<string, RowCondition> = new Map()

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
      condition: undefined,
      leave: () => undefined,
      hasLeft: false,
    }
    const forget = this.#addToViewer(subscription)
    const unfilter = this.#addToFilters(subscription)
    const { role = '' } = request.viewer
    const ofRole = this.#byRole.get(role) ?? new Map<QueuedSubscription, Stop>()
    this.#byRole.set(role, ofRole.set(subscription, this.#place(subscription)))
    subscription.leave = () => {
      subscription.hasLeft = true
      ofRole.get(subscription)?.()
      ofRole.delete(subscription)
      if (ofRole.size === 0 && this.#byRole.get(role) === ofRole) this.#byRole.delete(role)
      unfilter()
      forget()
      if (this.#index.entries.size === 0) this.#options.onEmpty()
    }
    return subscription
  }

  /** @param key the viewer's key. @returns a copy: the subscriptions may leave while it is iterated */
  ofViewer(key: string): readonly QueuedSubscription[] {
    return [...(this.#byViewer.get(key) ?? [])]
  }

  /** The roles of the viewers. */
  get roles(): Iterable<string> {
    return this.#byRole.keys()
  }

  /** Whether an event may concern a subscription, whatever its viewer sees. */
  mayConcern(events: readonly WaitingEvent[]): boolean {
    if (this.#unfiltered > 0) return true
    return events.some(({ event }) => {
      const read = event && this.#options.read(event)
      let isConcerned = false
      if (read)
        this.#byFilter.visit(event, read.images, ({ matcher }) => {
          isConcerned ||= matcher.mayConcern(event, read.images)
        })
      return isConcerned
    })
  }

  /**
   * From now on these conditions decide which rows the viewers of a role see, and subscriptions are found by them. For the viewers of
   * roles that are left out, the database is asked.
   */
  useConditions(conditions: ReadonlyMap<string, RowCondition>): void {
    const former = this.#conditions
    this.#conditions = conditions
    for (const role of new Set([...former.keys(), ...conditions.keys()])) {
      if (former.get(role) === conditions.get(role)) continue
      const ofRole = this.#byRole.get(role)
      for (const [subscription, stop] of [...(ofRole ?? [])]) {
        stop()
        ofRole?.set(subscription, this.#place(subscription))
      }
    }
  }

  /**
   * The table and images of an event, and the subscriptions that it may concern. Undefined: it concerns none.
   * @param isDecided whether conditions decide for a viewer, by its key; otherwise the database is asked
   */
  interestIn(event: LogEvent, isDecided: (key: string) => boolean): Interest | undefined {
    const read = this.#options.read(event)
    if (!read) return undefined
    const { images } = read
    const subscriptions: QueuedSubscription[] = []
    const decided: DecidedSubscription[] = []
    // Policies can only hide rows, so the subscriptions that the unrestricted rows may concern are a superset of the recipients.
    this.#index.visit(event, images, subscription => {
      const { from, matcher, condition, key } = subscription
      if (from && comparePositions(event.position, from) <= 0) return
      if (!condition || !isDecided(key)) {
        if (matcher.mayConcern(event, images)) subscriptions.push(subscription)
        return
      }
      const seen = imagesSeenBy(condition, images)
      if (!seen.row && !seen.old && event.operation !== 'T') return
      if (matcher.mayConcern(event, seen)) decided.push({ subscription, seen })
    })
    if (subscriptions.length === 0 && decided.length === 0) return undefined
    return { event, ...read, subscriptions, decided }
  }

  /** Removes all subscriptions and returns them. */
  clear(): readonly QueuedSubscription[] {
    this.#byRole.clear()
    this.#byFilter.clear()
    return this.#index.clear()
  }

  /** Puts a subscription into the index: under what its viewer sees, as far as conditions decide about it. */
  #place(subscription: QueuedSubscription): Stop {
    const { viewer, matcher, delivered } = subscription
    const { filter, operations } = matcher
    // What a viewer gets whose policies read the table depends on the present rows.
    const condition = delivered ? undefined : this.#conditions.get(viewer.role ?? '')?.of(claimsText(viewer))
    subscription.condition = condition
    const found: Filter = condition ? { kind: 'and', filters: [condition.filter, filter] } : filter
    return this.#index.add({ filter: found, operations }, subscription)
  }

  #addToFilters(subscription: QueuedSubscription): Stop {
    const { matcher } = subscription
    if (indexKeys(matcher.filter).length > 0) return this.#byFilter.add(matcher, subscription)
    this.#unfiltered++
    let isCounted = true
    return () => {
      if (isCounted) this.#unfiltered--
      isCounted = false
    }
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

function imagesSeenBy({ sees }: ViewerCondition, { row, old }: Images): Images {
  return { row: row && sees(row) ? row : null, old: old && sees(old) ? old : null }
}
