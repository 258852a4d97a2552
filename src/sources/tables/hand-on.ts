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

export interface HandOnOptions {
  /** Most steps that a filter may take for one event. */
  readonly maxFilterWork: number
  /** Resolves when events may be handed on; undefined: now. */
  readonly paused: () => Promise<void> | undefined
  readonly onFault: (error: unknown) => void
}

/** Events that policies were asked about, and those between them that nobody wants. */
export interface Answered {
  readonly page: readonly WaitingEvent[]
  /** Those of the page that the views are of. */
  readonly asked: readonly WaitingEvent[]
  /** What the viewer of a subscription sees of the events that were asked about; undefined: it is not for this subscription. */
  viewOf(subscription: QueuedSubscription): StageView | undefined
  /** Called after each event of the page, in the same step. */
  onHandedOn(position: Position): void
  isStopped(): boolean
}

/** Tells subscriptions what their viewers see. @returns false if it was stopped before the end of the page */
export type HandOn = (answered: Answered) => Promise<boolean>

/** After so many events in a row, or so many steps of filters, others get their turn. */
const EVENTS_PER_TURN = 100
const STEPS_PER_TURN = 1_000_000

export function createHandOn({ maxFilterWork, paused, onFault }: HandOnOptions): HandOn {
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
      if (!subscription.told) throw readsItselfMeanwhile()
      return subscription.tell(
        account,
        event,
        whole,
        subscription.told.next(event, whole, images, seen.present),
        work,
      )
    }
    return viewVisible(account, subscription.view, event, images, work)
  }

  /** @returns the steps that its filter took, of what the viewer may see */
  function show(subscription: QueuedSubscription, interest: Interest, at: number, seen: StageView): number {
    work.begin()
    if (subscription.hasLeft) return 0
    try {
      if (seen instanceof ListenqlError) {
        end(subscription, seen)
        return 0
      }
      const change = changeFor(subscription, interest, at, seen)
      if (change) subscription.follower.event(change)
    } catch (error) {
      const isTold = error instanceof ListenqlError
      if (!isTold) onFault(error)
      end(subscription, isTold ? error : unreadable())
    }
    return work.steps
  }

  return async ({ page, asked, viewOf, onHandedOn, isStopped }) => {
    let at = 0
    let steps = 0
    for (const [i, each] of page.entries()) {
      const event = each.event as LogEvent
      const pause = paused()
      if (pause) await pause
      if (isStopped()) return false
      if (asked[at] === each) {
        const interest = each.interest as Interest
        for (const subscription of interest.subscriptions) {
          const view = viewOf(subscription)
          if (view) steps += show(subscription, interest, at, view)
        }
        at++
      }
      onHandedOn(event.position)
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
