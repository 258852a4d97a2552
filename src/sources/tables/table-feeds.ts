import type { Observe } from '../../lib/observation.js'
import { createPausable } from '../../lib/pausable.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { CheckVisibility } from '../../rls/visibility.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import { type FeedRequest, type Followed, TableFeed } from './table-feed.js'

export interface TableFeedsOptions {
  readonly log: LogFollower
  readonly known: KnownTables
  readonly checkVisibility: CheckVisibility
  /** Undefined: no policy reads its own table. */
  readonly present: Present | undefined
  /** Most steps that a filter may take for one event. */
  readonly maxFilterWork: number
  /**
   * Most events that wait for policies in memory, shared by the tables that have something to wait for. Beyond that they are
   * read from the log again, or the subscriptions of viewers that are later than others end. Default: 5,000.
   */
  readonly maxWaiting?: number
  readonly observe: Observe
}

/** The feeds of the tables that have live followers. */
export interface TableFeeds {
  follow(relid: string, request: FeedRequest): Followed
  /** The feed of a table; undefined: it has no live followers. */
  get(relid: string): TableFeed | undefined
  /** Resolves once every event that the log has dispatched has been delivered; undefined: it has been. Viewers for which that takes too long end. */
  settled(): Promise<void> | undefined
  /** Stops and continues delivering events that have waited for policies. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Most characters of images that wait for policies in memory, shared as `maxWaiting` is. */
const MAX_WAITING_CHARACTERS = 2 ** 25

/** How long a change of the schema, and so the log, waits for viewers whose policies take long, in ms. */
const SCHEMA_CHANGE_PATIENCE_MS = 1000

export function createTableFeeds(options: TableFeedsOptions): TableFeeds {
  const { log, known, maxWaiting = 5000, observe } = options
  const feeds = new Map<string, { readonly feed: TableFeed; readonly stop: () => void }>()
  const flow = createPausable()
  const stop = new AbortController()

  /** What waits for one table may take what it would if all tables that wait took the same. */
  function limits() {
    let busy = 0
    for (const { feed } of feeds.values()) if (feed.isBusy) busy++
    const share = Math.max(1, busy)
    return { events: Math.ceil(maxWaiting / share), size: Math.ceil(MAX_WAITING_CHARACTERS / share) }
  }

  function provide(relid: string): TableFeed {
    const present = feeds.get(relid)?.feed
    if (present) return present
    const feed: TableFeed = new TableFeed({
      ...options,
      relid,
      known,
      limits,
      paused: flow.resumed,
      signal: stop.signal,
      onFault: error =>
        observe({ type: 'fault', id: 'event log', message: 'an event could not be handled', error }),
      onEmpty: () => release(relid, feed),
    })
    const unfollow = log.follow('t', relid, {
      event: event => feed.dispatch(event),
      lost: error => feed.end(error),
    })
    feeds.set(relid, { feed, stop: unfollow })
    return feed
  }

  function release(relid: string, feed: TableFeed): void {
    const present = feeds.get(relid)
    if (present?.feed !== feed) return
    feeds.delete(relid)
    present.stop()
  }

  function settled(): Promise<void> | undefined {
    const busy = [...feeds.values()].map(({ feed }) => feed).filter(({ isBusy }) => isBusy)
    if (busy.length === 0) return undefined
    return Promise.all(busy.map(feed => feed.settle(SCHEMA_CHANGE_PATIENCE_MS))).then(() => undefined)
  }

  return {
    follow: (relid, request) => provide(relid).follow(request),
    get: relid => feeds.get(relid)?.feed,
    settled,
    pause: flow.pause,
    resume: flow.resume,
    async close() {
      stop.abort()
      flow.resume()
      await settled()
    },
  }
}
