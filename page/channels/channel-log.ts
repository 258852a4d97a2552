import { channelEvents } from '../../src/client/channel/channel-events.js'
import { createListeners } from '../../src/client/store/listeners.js'
import type { Store } from '../../src/client/store/store.js'
import type { FeedStatus } from '../../src/client/subscription/feed-status.js'
import type { SubscribingClient } from '../../src/client/subscription/subscribing-client.js'

/** A notification, or a mark where some may be missing. */
export interface Entry {
  readonly id: number
  /** Undefined: a mark. */
  readonly payload?: string
  readonly mark?: string
  readonly at: Date
}

/** What a channel has received. */
export interface ChannelState extends FeedStatus {
  readonly isConnected: boolean
  /** The newest first. */
  readonly entries: readonly Entry[]
  /** The number of all messages, also of those that are no longer kept. */
  readonly received: number
}

/** Listens to a channel until it is disconnected. */
export interface ChannelLog extends Store<ChannelState> {
  connect(): void
  disconnect(): void
}

const KEPT = 200
export const INTERRUPTED = 'connection was interrupted here: notifications may have been missed'
export const DISCONNECTED = 'disconnected here: notifications since then were not received'

/** Postgres does not keep plain notifications: where the connection to the server or that to the database was lost, there is a mark. */
export function createChannelLog(client: SubscribingClient, name: string): ChannelLog {
  const listeners = createListeners()
  let state: ChannelState = {
    state: 'loading',
    since: new Date(),
    isConnected: false,
    entries: [],
    received: 0,
  }
  let count = 0
  let leave: (() => void) | undefined

  function become(next: Partial<ChannelState>): void {
    state = { ...state, ...next }
    listeners.notify()
  }
  function mark(text: string): void {
    if (state.entries[0]?.mark === text) return
    become({ entries: kept({ mark: text }) })
  }
  function kept(entry: Pick<Entry, 'payload' | 'mark'>, at = new Date()): readonly Entry[] {
    return [{ ...entry, id: ++count, at }, ...state.entries].slice(0, KEPT)
  }
  return {
    subscribe: listeners.subscribe,
    getSnapshot: () => state,
    connect() {
      if (leave) return
      let wasLive = false
      const events = channelEvents(client, {
        name,
        limit: 1,
        linger: 0,
        onEvent({ gap, payload, at }) {
          if (gap) return mark(INTERRUPTED)
          become({ entries: kept({ payload: payload ?? '' }, new Date(at)), received: state.received + 1 })
        },
      })
      const follow = () => {
        const { state: now, since, error } = events.getSnapshot()
        if (wasLive && now === 'offline') mark(INTERRUPTED)
        wasLive = now === 'live' || (wasLive && now !== 'offline')
        if (now === 'failed') leave = undefined
        if (now !== state.state || error !== state.error)
          become({ state: now, since, error, isConnected: now !== 'failed' && now !== 'closed' })
      }
      const unsubscribe = events.subscribe(follow)
      leave = () => {
        unsubscribe()
        events.dispose()
      }
      become({ isConnected: true, state: 'loading', error: undefined })
      follow()
    },
    disconnect() {
      if (!leave) return
      leave()
      leave = undefined
      become({ isConnected: false, state: 'closed', since: new Date(), error: undefined })
      mark(DISCONNECTED)
    },
  }
}
