import { createListeners } from '../store/listeners.js'
import type { Store } from '../store/store.js'

/**
 * - `idle`: there is no connection, as there is no subscription; the next one connects.
 * - `connecting`: the first connection is being made.
 * - `live`: the client is connected.
 * - `catching-up`: the client is connected again, and the server has not accepted all subscriptions again.
 * - `offline`: the connection is lost, or could not be made.
 */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'catching-up' | 'offline'

/** The state of a client's connection. */
export interface ConnectionStatus {
  /** What the client is doing. */
  readonly state: ConnectionState
  /** When this state began: offline since when. */
  readonly since: Date
}

/** The status of a client as a store, and the events that change it. */
export interface StatusTracker {
  readonly store: Store<ConnectionStatus>
  connecting(): void
  /** @param isResuming whether there are subscriptions that the server has to accept again */
  connected(isResuming: boolean): void
  /** The server has accepted all subscriptions again. */
  resumed(): void
  /** @param isExpected whether the client has closed the connection, since it needs none */
  closed(isExpected: boolean): void
}

export function createStatusTracker(): StatusTracker {
  const listeners = createListeners()
  let status: ConnectionStatus = { state: 'idle', since: new Date() }

  function become(state: ConnectionState): void {
    if (status.state === state) return
    status = { state, since: new Date() }
    listeners.notify()
  }
  return {
    store: { subscribe: listeners.subscribe, getSnapshot: () => status },
    connecting() {
      if (status.state === 'idle') become('connecting') // else it stays offline until it is connected
    },
    connected: isResuming => become(isResuming ? 'catching-up' : 'live'),
    resumed() {
      if (status.state === 'catching-up') become('live')
    },
    closed: isExpected => become(isExpected ? 'idle' : 'offline'),
  }
}
