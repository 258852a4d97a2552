import { setImmediate } from 'node:timers/promises'
import { Work } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits.js'
import { type Images, viewAt } from './change-view.js'
import type { Position } from './cursor.js'
import type { LogEvent } from './log-event.js'
import type { View } from './sight.js'
import type { Place, WaitingEvent } from './waiting-event.js'

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
  viewOf(place: Place): View | undefined
  /** Called after each event of the page, in the same step. */
  onHandedOn(position: Position): void
  isStopped(): boolean
}

/** Tells subscriptions what their viewers see. @returns false if it was stopped before the end of the page */
export type HandOn = (answered: Answered) => Promise<boolean>

/** After so many events in a row, or so many steps of filters, others get their turn. */
const SLICE = 100
const STEPS = 1_000_000

export function createHandOn({ maxFilterWork, paused, onFault }: HandOnOptions): HandOn {
  const work = new Work(maxFilterWork)

  function end(place: Place, error: ListenqlError): void {
    place.leave()
    place.follower.end(error)
  }

  /** @returns the steps that its filter took, of what the viewer may see */
  function show(place: Place, event: LogEvent, at: number, seen: View): number {
    work.begin()
    if (place.hasLeft) return 0
    try {
      if (seen instanceof ListenqlError) {
        end(place, seen)
        return 0
      }
      const images = seen[at] as Images
      if (!images.row && !images.old && event.operation !== 'T') return 0
      const change = viewAt(place.follower.account, place.view, event, images, work)
      if (change) place.follower.event(change)
    } catch (error) {
      const isTold = error instanceof LimitExceeded
      if (!isTold) onFault(error)
      end(place, isTold ? error : unreadable())
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
        for (const place of each.interest?.places ?? []) {
          const view = viewOf(place)
          if (view) steps += show(place, event, at, view)
        }
        at++
      }
      onHandedOn(event.position)
      if (i % SLICE < SLICE - 1 && steps < STEPS) continue
      steps = 0
      await setImmediate()
    }
    return !isStopped()
  }
}

export function unreadable(): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read')
}
