import { createLiveStore, type LiveStore, type LiveStoreOptions } from '../store/live-store.js'
import { isPassingError } from '../subscription/is-passing-error.js'
import { createKeptSubscription } from '../subscription/kept-subscription.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'

/** An event on a channel. */
export interface ChannelEvent {
  /** The text as sent; null on a gap. */
  readonly payload: string | null
  /** The payload as a JSON value; null if it is not JSON. */
  readonly json: unknown
  /** Whether notifications may have been missed before this point. */
  readonly gap: boolean
  /** When the server received the notification, or when the event was published. */
  readonly at: string
  /** The position of a published event; null for a plain NOTIFY. */
  readonly cursor: string | null
}

/** Which events to keep. */
export interface ChannelEventsOptions extends LiveStoreOptions {
  /** The name of the channel, as in `NOTIFY`. */
  readonly name: string
  /** How many of the last events are kept. Default: 100. */
  readonly limit?: number | undefined
  /** Published events after this position come first. Default: only later events. */
  readonly after?: string | undefined
  /** Called with each event; an error that it throws ends the store. */
  readonly onEvent?: ((event: ChannelEvent) => void) | undefined
}

/** The last events on a channel. */
export interface ChannelContents {
  /** Immutable; the newest is last. */
  readonly events: readonly ChannelEvent[]
}

/** The last events on a channel, as they come. */
export type ChannelEvents = LiveStore<ChannelContents>

const QUERY =
  'subscription ($name: String!, $after: String) { channel(name: $name, after: $after) { payload json gap at cursor } }'

/**
 * A store of the last events on a channel. It subscribes while it has listeners, and continues after the last published event that it
 * has. Plain notifications that are sent while it has no connection are missed. If published events may have been missed, too, because
 * they are no longer kept, there is an event with `gap: true` in their place.
 *
 * @param client of `createClient`
 */
export function channelEvents(
  client: SubscribingClient,
  { name, limit = 100, after, onEvent, linger }: ChannelEventsOptions,
): ChannelEvents {
  let events: readonly ChannelEvent[] = []
  let isAccepted = false
  /** Where it continues if it subscribes again. */
  let position = after
  function take(event: ChannelEvent): void {
    position = event.cursor ?? position
    events = [...events, event].slice(-limit)
    onEvent?.(event)
    owned.changed()
  }
  const owned = createLiveStore<ChannelContents>({
    linger,
    empty: { events },
    contents: () => (isAccepted || events.length > 0 ? { events } : undefined),
    open(status) {
      let isLive = false
      const subscription = createKeptSubscription<{ readonly channel: ChannelEvent }>(
        client,
        {
          query: QUERY,
          get variables() {
            return { name, after: position }
          },
        },
        {
          starting() {
            isLive = false
          },
          accepted() {
            isLive = true
            isAccepted = true
          },
          next({ data, errors }) {
            if (data) take(data.channel)
            else subscription.fail(errors)
          },
          ending({ code }) {
            if (code !== 'CURSOR_EXPIRED' && code !== 'CURSOR_INVALID') return
            position = undefined
            take({ payload: null, json: null, gap: true, at: new Date().toISOString(), cursor: null })
          },
          state: () => (isLive ? 'live' : isAccepted ? 'catching-up' : 'loading'),
          isPassing: isPassingError,
          status,
        },
      )
      return { refetch: subscription.restart, dispose: subscription.dispose }
    },
  })
  return owned.store
}
