import { createStopController } from '../../lib/abort.js'
import type { Observe } from '../../lib/observation.js'
import { createPausable } from '../../lib/pausable.js'
import { stopping } from '../../lib/stopping.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { CheckVisibility, ReadConditions } from '../../rls/visibility.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import { type FeedRequest, type Followed, TableFeed } from './table-feed.js'

export interface TableFeedsOptions {
  readonly log: LogFollower
  readonly known: KnownTables
  readonly checkVisibility: CheckVisibility
  readonly readConditions: ReadConditions
  /** Undefined: no policy reads its own table. */
  readonly present: Present | undefined
  /** Most steps that a filter may take for one event. */
  readonly maxFilterWork: number
  /**
   * Most events that wait for policies in memory, shared by the tables with waiting events. Beyond that limit, events are read
   * from the log again, and the subscriptions of slow viewers end. Default: 5,000.
   */
  readonly maxWaiting?: number
  readonly observe: Observe
}

/** The feeds of the tables that have live followers: one feed per table. */
export interface TableFeeds {
  follow(relid: string, request: FeedRequest): Followed
  /** The feed of a table; undefined: it has no live followers. */
  get(relid: string): TableFeed | undefined
  /**
   * Resolves once every dispatched event has been delivered. Undefined: that is so already. Ends the subscriptions of viewers whose
   * policies take too long (SCHEMA_CHANGE_PATIENCE_MS).
   */
  settled(): Promise<void> | undefined
  /** Pauses and resumes the delivery of events that have waited for policies. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Most characters of images that wait for policies in memory, shared by the tables like `maxWaiting`. */
const MAX_WAITING_CHARACTERS = 2 ** 25

/** How long a change of the schema waits for slow viewers, in ms. The pump waits, too. */
const SCHEMA_CHANGE_PATIENCE_MS = 1000

export function createTableFeeds(options: TableFeedsOptions): TableFeeds {
  const { log, known, maxWaiting = 5000, observe } = options
  const feeds = new Map<string, { readonly feed: TableFeed; readonly stop: () => void }>()
  const flow = createPausable()
  const stop = createStopController()

  /** The limits for one table: an equal share for each table with waiting events. */
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
      stop.abort(stopping())
      flow.resume()
      await settled()
    },
  }
}
