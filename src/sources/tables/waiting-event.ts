import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Position } from '../../log/position.js'
import type { ViewerCondition } from '../../rls/conditions/viewer-condition.js'
import type { ReadEvent } from '../../rls/visibility.js'
import type { Follower } from '../source.js'
import type { ChangeMatcher } from './change-matcher.js'
import type { ChangeView } from './change-view.js'
import type { DeliverableView } from './deliverable-view.js'
import type { DeliveredRows } from './delivered-rows.js'
import type { RowChange } from './row-change.js'

/** Most events for which one query checks the policies. */
export const PAGE_EVENTS = 250

/** A request to follow a table under the row-level security of a viewer. */
export interface VisibilityRequest {
  readonly viewer: Viewer
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  /** Which row versions have been delivered. Undefined: no policy reads the table itself. */
  readonly delivered?: DeliveredRows | undefined
  /** No event up to here is delivered. Default: none up to the log's position. */
  readonly after?: Position | undefined
}

/** A subscription in the queue of a table. */
export interface QueuedSubscription extends VisibilityRequest {
  /** The viewer's key (`viewerKey` with claims). */
  readonly key: string
  /** Decides for which events the policies are checked: those that the view may select, or all if `delivered` is set. */
  readonly matcher: ChangeMatcher
  readonly viewDeliverable: DeliverableView
  /**
   * No event up to here is delivered: the log's position when the subscription joined, or `after` if that is later. Undefined:
   * the log had not been read.
   */
  readonly from: Position | undefined
  /** Decides which rows its viewer sees, for the next page. Undefined: the database is asked. */
  condition: ViewerCondition | undefined
  /** Removes the subscription from the queue; idempotent. */
  leave: Stop
  hasLeft: boolean
}

/** A subscription whose viewer sees an event, by a condition that was in force after the event was read. */
export interface DecidedSubscription {
  readonly subscription: QueuedSubscription
  /** The images of the event; a row that the viewer does not see is null. */
  readonly seen: Images
}

/** An event with the subscriptions that get it. */
export interface Interest extends ReadEvent {
  readonly table: WatchedTable
  /** Those for whose viewers the policies have to be checked. */
  readonly subscriptions: readonly QueuedSubscription[]
  readonly decided: readonly DecidedSubscription[]
}

/**
 * An event of a table that waits until it is known which viewers may see it, linked to the next event. The queue and each slow viewer
 * reference the last event that they have delivered, so events that all of them have passed can be garbage-collected.
 */
export interface WaitingEvent {
  /** Undefined for the beginning of a chain. */
  readonly event: LogEvent | undefined
  /** The number of the event in its chain, from 1. */
  readonly number: number
  /** The characters of the row images of all events of the chain, up to this one. */
  readonly size: number
  /** Undefined until the queue has determined it, and if no subscription wants the event. */
  interest: Interest | undefined
  next: WaitingEvent | undefined
}

/** The beginning of a new chain, without an event. */
export function beginChain(): WaitingEvent {
  return { event: undefined, number: 0, size: 0, interest: undefined, next: undefined }
}

/** Links an event to the end of a chain. @returns the new end */
export function appendEvent(tail: WaitingEvent, event: LogEvent): WaitingEvent {
  const size = tail.size + (event.new?.length ?? 0) + (event.old?.length ?? 0)
  const next = { event, number: tail.number + 1, size, interest: undefined, next: undefined }
  tail.next = next
  return next
}

/**
 * The events after a place in a chain.
 * @param until the last event to return. Undefined: up to the end of the chain
 * @param most the number of events to return at most
 */
export function eventsBetween(
  from: WaitingEvent,
  until: WaitingEvent | undefined,
  most: number,
): WaitingEvent[] {
  const events: WaitingEvent[] = []
  for (let at = from; at !== until && at.next && events.length < most; ) {
    at = at.next
    events.push(at)
  }
  return events
}
