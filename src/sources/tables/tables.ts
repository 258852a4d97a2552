import { viewerKey } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import { createStopController } from '../../lib/abort.js'
import type { Observe } from '../../lib/observation.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { CheckVisibility } from '../../rls/visibility.js'
import { EventSource } from '../source.js'
import { createChangeView } from './change-view.js'
import type { AuthorisedChangesRequest } from './changes-request.js'
import { begunAnew } from './history-errors.js'
import { KnownTables } from './known-tables.js'
import { openChanges } from './open-changes.js'
import { createPageReader } from './page-changes.js'
import type { Present } from './present.js'
import type { RowChange } from './row-change.js'
import type { Followed } from './table-feed.js'
import { createTableFeeds } from './table-feeds.js'
import { createTableReplays } from './table-replay.js'

export interface TablesOptions {
  readonly log: LogFollower
  /** Decides which rows a viewer may see. Default: requests must not have a viewer. */
  readonly checkVisibility?: CheckVisibility
  /** Undefined: no policy reads its own table. */
  readonly present?: Present | undefined
  /** Most steps that a filter may take for one event. Default: any number. */
  readonly maxFilterWork?: number
  /** See TableFeedsOptions. */
  readonly maxWaiting?: number
  /**
   * Reads the catalogue, because an event of the log has this generation of a table. Resolves with the generation that the catalogue
   * then has, or with undefined if the table has no history. Default: the catalogue has nothing newer.
   */
  readonly refresh?: (relid: string, generation: number) => Promise<number | undefined>
  readonly observe: Observe
}

/**
 * The changes of watched tables, from the event log: live changes from the feeds, the past from replays. Each change is read with
 * the columns that the table had at the change's position.
 */
export interface Tables {
  changes(table: WatchedTable, request: AuthorisedChangesRequest): EventSource<RowChange>
  /**
   * Sets the tables that are watched from the log's position on, in the generations that they have there.
   * @param isReached see `reached`
   * @param paused oids of watched tables whose history is incomplete at the moment. Default: none
   */
  switchTo(tables: readonly WatchedTable[], isReached: boolean, paused?: readonly string[]): void
  /** The log has been dispatched up to where the histories of all tables begin. */
  reached(): void
  /** The generation of a table; undefined if it is not watched. */
  generationOf(relid: string): number | undefined
  /** Resolves once every dispatched event has been delivered. Undefined: that is so already. */
  settled(): Promise<void> | undefined
  /** Pauses and resumes the delivery of events that have waited for policies. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

export function createTables({
  log,
  checkVisibility = noViewers,
  present,
  maxFilterWork = Number.POSITIVE_INFINITY,
  maxWaiting,
  refresh,
  observe,
}: TablesOptions): Tables {
  const stop = createStopController()
  const known = new KnownTables()
  const shared = { log, known, checkVisibility, present, maxFilterWork, signal: stop.signal }
  const feeds = createTableFeeds({ ...shared, ...(maxWaiting !== undefined && { maxWaiting }), observe })
  const { changesOf, changesFor } = createPageReader(shared)
  let isReached = true
  const createReplay = createTableReplays({ ...shared, refresh, isReached: () => isReached })

  /** Ends the followers that select or filter by a column whose values have had another meaning since a later generation than `since`. */
  function endChanged({ relid, columnFrom = {} }: WatchedTable, since: number): void {
    const changed = new Set(Object.keys(columnFrom).filter(name => (columnFrom[name] as number) > since))
    if (changed.size === 0) return
    feeds
      .get(relid)
      ?.endWhere(
        ({ used, usesKey }) => used.some(name => changed.has(name)) || (usesKey && changed.has('')),
        begunAnew(),
      )
  }

  return {
    changes(table, request) {
      const { relid } = table
      const { viewer, recheck } = request
      const view = createChangeView(request, log.cursors)
      let followed: Followed | undefined
      const replay = createReplay({
        relid,
        changesOf: viewer ? changesFor(viewer, relid, view) : changesOf(relid, view),
        live: () => (followed ? followed.position() : log.position),
        recheck,
      })
      return new EventSource<RowChange>(
        { kind: 'table', name: table.schema === 'public' ? table.name : `${table.schema}.${table.name}` },
        {
          after: request.after,
          decode: log.cursors.decode,
          audience: viewer && viewerKey(viewer, true),
          async open(follower, signal) {
            const opening = { table, request, view, follower, signal, over: stop.signal }
            followed = await openChanges({ ...shared, feeds, ...opening })
            return followed.stop
          },
          live: () => Promise.resolve(), // the log keeps the events of an outage
          positionOf: change => change.position,
          replay: () => replay,
        },
      )
    },
    switchTo(tables, reached, paused = []) {
      isReached = reached
      for (const change of known.switchTo(tables, paused)) {
        if (change.kind === 'kept') endChanged(change.table, change.since)
        else log.end('t', change.relid, change.error)
      }
    },
    reached() {
      isReached = true
    },
    generationOf: relid => known.table(relid)?.generation,
    settled: feeds.settled,
    pause: feeds.pause,
    resume: feeds.resume,
    async close() {
      stop.abort()
      known.close()
      await feeds.close()
    },
  }
}

const noViewers: CheckVisibility = async () => {
  throw new TypeError('a request has a viewer, but checkVisibility is not set')
}
