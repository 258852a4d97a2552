import type { FeedState, FeedStatus } from '../subscription/feed-status.js'
import type { SubscriptionError } from '../subscription/subscription-error.js'
import { LINGER_MS, openWhileHeard } from './open-while-heard.js'
import type { Store } from './store.js'

/** What a snapshot says of its contents. */
export interface LiveSnapshot {
  /** Whether the contents are those of the database now. */
  readonly state: FeedState
  /** Since when. */
  readonly since: Date
  /** Why the store has failed, or reads again. */
  readonly error: SubscriptionError | undefined
  /** Whether the contents have arrived, now or earlier: if not, there is nothing to show. */
  readonly isLoaded: boolean
}

/** A store that a subscription keeps up to date. It is subscribed while it has listeners. */
export interface LiveStore<Contents> extends Store<Contents & LiveSnapshot> {
  /** Returns the snapshot of a store that has not been opened, which is what a server renders. */
  getServerSnapshot(): Contents & LiveSnapshot
  /** As in the snapshot. */
  readonly status: FeedStatus
  /** As in the snapshot. */
  readonly error: SubscriptionError | undefined
  /** Reads everything again, also after an error; the present contents stay until then. Does nothing without listeners. */
  refetch(): void
  /** Unsubscribes for ever; the state becomes `closed`. May be called twice. */
  dispose(): void
}

/** Options that all live stores have. */
export interface LiveStoreOptions {
  /** How long the store stays subscribed after its last listener has left, in ms. Default: 1,000. */
  readonly linger?: number | undefined
}

/** What fills a store. */
export interface Source {
  /** Begins again, also after `dispose`. */
  refetch(): void
  dispose(): void
}

/** For the owner of a store. */
export interface OwnedLiveStore<Contents> {
  readonly store: LiveStore<Contents>
  /** The contents are others now. */
  changed(): void
}

export interface OwnerOptions<Contents> extends LiveStoreOptions {
  /** Returns the present contents; undefined if there are none yet. */
  readonly contents: () => Contents | undefined
  /** What a snapshot has until then. */
  readonly empty: Contents
  /** Called once, when the first listener comes. The source calls `status` whenever its status changes. */
  readonly open: (status: (status: FeedStatus) => void) => Source
}

export function createLiveStore<Contents extends object>(
  options: OwnerOptions<Contents>,
): OwnedLiveStore<Contents> {
  const { contents, empty, open, linger = LINGER_MS } = options
  let source: Source | undefined
  let status: FeedStatus = { state: 'loading', since: new Date() }
  let isResting = false
  const initial = snapshotOf(empty, false)
  let snapshot: (Contents & LiveSnapshot) | undefined = initial

  function snapshotOf(of: Contents, isLoaded: boolean): Contents & LiveSnapshot {
    return { ...of, state: status.state, since: status.since, error: status.error, isLoaded }
  }
  function changed(): void {
    snapshot = undefined
    listeners.notify()
  }
  function become(next: FeedStatus): void {
    status = next
    changed()
  }
  function rest(): void {
    isResting = true
    source?.dispose()
    isResting = false
    // The next listener finds what there was, and a source that begins again.
    status = { state: contents() ? 'catching-up' : 'loading', since: new Date() }
    snapshot = undefined
  }
  const listeners = openWhileHeard({
    linger,
    open() {
      if (source) source.refetch()
      else
        source = open(next => {
          if (!isResting) become(next)
        })
      return rest
    },
  })
  return {
    changed,
    store: {
      subscribe: listeners.subscribe,
      getSnapshot() {
        if (snapshot) return snapshot
        const present = contents()
        snapshot = snapshotOf(present ?? empty, present !== undefined)
        return snapshot
      },
      getServerSnapshot: () => initial,
      get status() {
        return status
      },
      get error() {
        return status.error
      },
      refetch() {
        if (listeners.isOpen) source?.refetch()
      },
      dispose() {
        listeners.close()
        if (status.state !== 'closed') become({ state: 'closed', since: new Date() })
      },
    },
  }
}
