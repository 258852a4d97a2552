import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Position } from '../../log/position.js'
import type { ReadEvent } from '../../rls/visibility.js'
import type { Follower } from '../source.js'
import type { ChangeMatcher } from './change-matcher.js'
import type { ChangeView } from './change-view.js'
import type { RowChange } from './row-change.js'
import type { TellingView } from './telling-view.js'
import type { ToldRows } from './told-rows.js'

/** Events about which is asked at once. */
export const PAGE_EVENTS = 250

/** A subscription to a table as a viewer sees it. */
export interface VisibilityRequest {
  readonly viewer: Viewer
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  /** Where policies read the table itself: what was told so far. */
  readonly told?: ToldRows | undefined
}

/** A subscription in the queue of a table. */
export interface QueuedSubscription extends VisibilityRequest {
  /** Of its viewer. */
  readonly key: string
  /** Decides which events are checked for it: those of its view, or all where it depends on what was told before. */
  readonly matcher: ChangeMatcher
  readonly tell: TellingView
  /** Where the log was when it joined: what was on its way then is not for it. */
  readonly from: Position | undefined
  leave: Stop
  hasLeft: boolean
}

/** An event, and the subscriptions that are told of it if they may see it. */
export interface Interest extends ReadEvent {
  readonly table: WatchedTable
  readonly subscriptions: readonly QueuedSubscription[]
}

/**
 * An event of a table that waits until it is known which viewers see it, linked to the next one: each viewer has a place in
 * the chain, and what all have passed is garbage.
 */
export interface WaitingEvent {
  /** Undefined: the beginning of a chain. */
  readonly event: LogEvent | undefined
  /** Of the event in its chain, and characters of all images up to it. */
  readonly number: number
  readonly size: number
  /** Undefined until it is looked for, or if nobody wants it. */
  interest: Interest | undefined
  next: WaitingEvent | undefined
}

export function beginChain(): WaitingEvent {
  return { event: undefined, number: 0, size: 0, interest: undefined, next: undefined }
}

/** @returns the event as the end of the chain */
export function appendEvent(tail: WaitingEvent, event: LogEvent): WaitingEvent {
  const size = tail.size + (event.new?.length ?? 0) + (event.old?.length ?? 0)
  const next = { event, number: tail.number + 1, size, interest: undefined, next: undefined }
  tail.next = next
  return next
}

/** The events after a place in a chain, up to another one, so many at most. */
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
