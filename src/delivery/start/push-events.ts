import type { Scheduler } from '../scheduler.js'
import type { FrameStream } from '../stream.js'

/** How many bytes of frames are rendered before the subscriber has taken them. Bounded, because a page may hold megabytes. */
export const RENDER_AHEAD_BYTES = 256 * 1024

export interface PushEventsOptions<Event> {
  /** The subscriber's own stream. */
  readonly own: FrameStream
  readonly scheduler: Scheduler
  /** Renders an event and adds its frame to `own`. */
  readonly push: (event: Event) => void
  /** Renders no more once it has aborted: the subscriber has left, or starts over. */
  readonly signal: AbortSignal
}

/**
 * Renders events, from number `at` on, until it has rendered `RENDER_AHEAD_BYTES` or no event is left, in the time that live events leave: a
 * thousand subscribers that wait for the same page go on in the same moment. Rejects with the error of rendering.
 * @returns the number of the first event that is left, also if the signal aborts
 */
export function pushEvents<Event>(
  events: readonly Event[],
  at: number,
  { own, scheduler, push, signal }: PushEventsOptions<Event>,
): Promise<number> {
  const from = own.tail.end
  let next = at
  const hasRoom = () => !signal.aborted && next < events.length && own.tail.end - from < RENDER_AHEAD_BYTES
  return new Promise((resolve, reject) => {
    const work = () => {
      try {
        while (hasRoom()) {
          push(events[next++] as Event)
          if (scheduler.isOver) break
        }
      } catch (error) {
        return reject(error)
      }
      if (hasRoom()) scheduler.spare(work)
      else resolve(next)
    }
    scheduler.spare(work)
  })
}
