import { setImmediate } from 'node:timers/promises'
import type { Images } from '../../filters/images.js'
import { Work } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Position } from '../../log/position.js'
import { viewVisible } from './change-view.js'
import { readsItselfMeanwhile } from './present.js'
import type { RowChange } from './row-change.js'
import type { StageView, VisibleEvents } from './stage-view.js'
import type { Interest, QueuedSubscription, WaitingEvent } from './waiting-event.js'

export interface PageDeliveryOptions {
  /** Most steps that a filter may take for one event. */
  readonly maxFilterWork: number
  /** Resolves when events may be delivered. Undefined: now. */
  readonly paused: () => Promise<void> | undefined
  readonly onFault: (error: unknown) => void
}

/** A page of waiting events for which the policies' answers are known. */
export interface AnsweredPage {
  readonly page: readonly WaitingEvent[]
  /** The events of the page for which the policies were checked, in order. No subscription of the viewers wants the others. */
  readonly checked: readonly WaitingEvent[]
  /** Whether the subscriptions that are decided about get the page, too. */
  readonly withDecided: boolean
  /** What the viewer of a subscription sees of the `checked` events. Undefined: the page is not delivered to this subscription. */
  viewOf(subscription: QueuedSubscription): StageView | undefined
  /** Called after each event of the page, in the same step. */
  onDelivered(position: Position): void
  isStopped(): boolean
}

/**
 * Delivers a page to the subscriptions, each event in order and as far as the viewer may see it. A subscription whose change cannot
 * be delivered ends. @returns false if it was stopped before the end of the page
 */
export type DeliverPage = (page: AnsweredPage) => Promise<boolean>

/** After this many events, or this many filter steps, other work gets a turn. */
const EVENTS_PER_TURN = 100
const STEPS_PER_TURN = 1_000_000

export function createPageDelivery({ maxFilterWork, paused, onFault }: PageDeliveryOptions): DeliverPage {
  const work = new Work(maxFilterWork)

  function end(subscription: QueuedSubscription, error: ListenqlError): void {
    subscription.leave()
    subscription.follower.end(error)
  }

  function changeFor(
    subscription: QueuedSubscription,
    interest: Interest,
    at: number,
    seen: VisibleEvents,
  ): RowChange | undefined {
    const { event, images: whole } = interest
    const { account } = subscription.follower
    const images = seen.images[at] as Images
    if (seen.present) {
      if (!subscription.delivered) throw readsItselfMeanwhile()
      return subscription.viewDeliverable(
        account,
        event,
        whole,
        subscription.delivered.next(event, whole, images, seen.present),
        work,
      )
    }
    return viewVisible(account, subscription.view, event, images, work)
  }

  /** @param at the place of the event in what is seen of the checked events @returns the steps that the filter took */
  function deliver(
    subscription: QueuedSubscription,
    interest: Interest,
    at: number,
    seen: StageView | Images,
  ): number {
    work.begin()
    if (subscription.hasLeft) return 0
    try {
      if (seen instanceof ListenqlError) {
        end(subscription, seen)
        return 0
      }
      const change =
        'images' in seen
          ? changeFor(subscription, interest, at, seen)
          : viewVisible(subscription.follower.account, subscription.view, interest.event, seen, work)
      if (change) subscription.follower.event(change)
    } catch (error) {
      const isKnown = error instanceof ListenqlError
      if (!isKnown) onFault(error)
      end(subscription, isKnown ? error : unreadable())
    }
    return work.steps
  }

  return async ({ page, checked, withDecided, viewOf, onDelivered, isStopped }) => {
    let at = 0
    let steps = 0
    for (const [i, each] of page.entries()) {
      const event = each.event as LogEvent
      const pause = paused()
      if (pause) await pause
      if (isStopped()) return false
      const { interest } = each
      if (interest && withDecided)
        for (const { subscription, seen } of interest.decided)
          steps += deliver(subscription, interest, at, seen)
      if (interest && checked[at] === each) {
        for (const subscription of interest.subscriptions) {
          const view = viewOf(subscription)
          if (view) steps += deliver(subscription, interest, at, view)
        }
        at++
      }
      onDelivered(event.position)
      if (i % EVENTS_PER_TURN < EVENTS_PER_TURN - 1 && steps < STEPS_PER_TURN) continue
      steps = 0
      await setImmediate()
    }
    return !isStopped()
  }
}

export function unreadable(): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read')
}
