import { abortable } from '../lib/abort.js'
import type { InitialState } from '../sources/initial-state.js'
import { RENDER_AHEAD_BYTES } from './catch-up.js'
import type { Scheduler } from './scheduler.js'
import type { FrameStream } from './stream.js'
import type { Subscriber } from './subscriber.js'

export interface PushStateOptions {
  readonly state: InitialState<unknown>
  /** The subscriber's own stream. */
  readonly own: FrameStream
  readonly subscriber: Subscriber
  readonly scheduler: Scheduler
  /** Renders an event and adds its frame to `own`. */
  readonly push: (event: unknown) => void
  /** Called when new frames wait for the subscriber. */
  readonly notify: () => void
  /** Called before each part. It throws if the subscriber may not get the rest, as when the right to the rows has been lost. */
  readonly check: () => void
}

/**
 * Renders a state as fast as the subscriber takes it, in the time that live events leave.
 * @throws the error of `check` or of rendering, or the signal's reason
 */
export async function pushState(options: PushStateOptions, signal: AbortSignal): Promise<void> {
  const { state, own, subscriber, scheduler, push, notify, check } = options
  const { events } = state
  for (let at = 0; at < events.length; ) {
    signal.throwIfAborted()
    check()
    const from = own.tail.end
    const hasRoom = () => at < events.length && own.tail.end - from < RENDER_AHEAD_BYTES
    await new Promise<void>((resolve, reject) => {
      const work = () => {
        try {
          while (hasRoom()) {
            push(events[at++])
            if (scheduler.isOver) break
          }
        } catch (error) {
          return reject(error)
        }
        if (hasRoom()) scheduler.spare(work)
        else resolve()
      }
      scheduler.spare(work)
    })
    notify()
    if (at < events.length) await abortable(subscriber.taken(), signal)
  }
}
