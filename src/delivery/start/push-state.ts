import { abortable } from '../../lib/abort.js'
import type { InitialState } from '../../sources/initial-state.js'
import type { Subscriber } from '../subscriber.js'
import { type PushEventsOptions, pushEvents } from './push-events.js'

export interface PushStateOptions extends PushEventsOptions<unknown> {
  readonly state: InitialState<unknown>
  readonly subscriber: Subscriber
  /** Called when new frames wait for the subscriber. */
  readonly notify: () => void
  /** Called before each part. It throws if the subscriber may not get the rest, as when the right to the rows has been lost. */
  readonly check: () => void
}

/**
 * Renders a state as fast as the subscriber takes it, in the time that live events leave.
 * @throws the error of `check` or of rendering, or the signal's reason
 */
export async function pushState(options: PushStateOptions): Promise<void> {
  const { state, subscriber, notify, check, signal } = options
  const { events } = state
  for (let at = 0; at < events.length; ) {
    signal.throwIfAborted()
    check()
    at = await pushEvents(events, at, options)
    notify()
    if (at < events.length) await abortable(subscriber.taken(), signal)
  }
}
