import { viewerKey } from '../../auth/viewer.js'
import { tableTitle, type WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { createStopController } from '../../lib/abort.js'
import type { Observe } from '../../lib/observation.js'
import { createSlices } from '../../lib/slices.js'
import type { Stop } from '../../lib/stop.js'
import { stopping } from '../../lib/stopping.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { Position } from '../../log/position.js'
import type { CheckVisibility, ReadConditions } from '../../rls/visibility.js'
import { EventSource } from '../source.js'
import { createChangeView } from './change-view.js'
import type { AuthorisedChangesRequest } from './changes-request.js'
import { begunAnew } from './history-errors.js'
import { KnownTables } from './known-tables.js'
import { openChanges } from './open-changes.js'
import { createFoldedReplay } from './pace/folded-replay.js'
import { createWindow, type Window } from './pace/window.js'
import { createWindowBudget } from './pace/window-budget.js'
import { createPageReader } from './page-changes.js'
import type { Present } from './present.js'
import type { RowChange, RowOperation } from './row-change.js'
import { createInitialRows } from './start/initial-rows.js'
import type { Followed } from './table-feed.js'
import { createTableFeeds } from './table-feeds.js'
import { createTableReplays } from './table-replay.js'

export interface TablesOptions {
  readonly log: LogFollower
  /** Decides which rows a viewer may see. Default: requests must not have a viewer. */
  readonly checkVisibility?: CheckVisibility
  /** Decides in place of `checkVisibility` where it can. Default: nowhere. */
  readonly readConditions?: ReadConditions
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

/** Gets every change of a table, whatever a viewer may see. Its methods are called synchronously and must not throw. */
export interface RawListener {
  /**
   * @param table the table as it is at the change; undefined if there are no images
   * @param images undefined: all rows may have changed
   */
  change(change: {
    readonly relid: string
    readonly position: Position
    readonly table: WatchedTable | undefined
    readonly images: Images | undefined
  }): void
  /** The history of the table has ended. No call follows. */
  lost(): void
}

/**
 * The changes of watched tables, from the event log: live changes from the feeds, the past from replays. Each change is read with
 * the columns that the table had at the change's position.
 */
export interface Tables {
  changes(table: WatchedTable, request: AuthorisedChangesRequest): EventSource<RowChange>
  /** Follows the changes of a table from the next event of the log on. Not for clients: it checks no rights. */
  follow(relid: string, listener: RawListener): Stop
  /**
   * Sets the tables that are watched from the log's position on, in the generations that they have there.
   * @param isReached see `reached`
   * @param paused oids of watched tables whose history is incomplete at the moment. Default: none
   */
  switchTo(tables: readonly WatchedTable[], isReached: boolean, paused?: readonly string[]): void
  /** The log has been dispatched up to where the histories of all tables begin. */
  reached(): void
  /** A table as it is at the log's position; undefined if it is not watched. */
  tableOf(relid: string): WatchedTable | undefined
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
  readConditions = () => undefined,
  present,
  maxFilterWork = Number.POSITIVE_INFINITY,
  maxWaiting,
  refresh,
  observe,
}: TablesOptions): Tables {
  const stop = createStopController()
  const known = new KnownTables()
  const shared = { log, known, checkVisibility, present, maxFilterWork, signal: stop.signal }
  const feeds = createTableFeeds({
    ...shared,
    readConditions,
    ...(maxWaiting !== undefined && { maxWaiting }),
    observe,
  })
  const { changesOf, changesFor } = createPageReader(shared)
  const budget = createWindowBudget()
  const runSliced = createSlices()
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
      const { viewer, recheck, readInitial, every = 0, operations } = request
      const view = createChangeView(request, log.cursors)
      let followed: Followed | undefined
      const wants = (operation: RowOperation) => !operations || operations.includes(operation)
      const fold = { key: table.key, wantsUpdate: wants('UPDATE'), mayHaveRows: !wants('DELETE') }
      let window: Window | undefined
      /** While the source opens: the position of the source that it continues. */
      let continued: Position | undefined
      let openings = 0
      const single = createReplay({
        relid,
        changesOf: viewer ? changesFor(viewer, relid, view) : changesOf(relid, view),
        live: () => followed?.position() ?? continued ?? log.position,
        recheck,
      })
      const replay = every > 0 ? createFoldedReplay(single, fold, () => window) : single
      return new EventSource<RowChange>(
        { kind: 'table', name: tableTitle(table) },
        {
          after: request.after,
          // A window holds changes back on purpose.
          ...(every === 0 && { madeAt: ({ at }) => at }),
          meaning: request.meaning,
          decode: log.cursors.decode,
          audience: viewer && viewerKey(viewer, true),
          initialState:
            readInitial &&
            createInitialRows({
              read: readInitial,
              cursors: log.cursors,
              hasHistory: () => known.table(relid) !== undefined,
            }),
          async open(subscriber, signal) {
            const position = single.start
            const held =
              every > 0
                ? createWindow({ ...fold, every, follower: subscriber, position, budget, runSliced })
                : undefined
            window = held
            followed = undefined
            const opening = ++openings
            continued = subscriber.continuesAfter
            const follower = held?.follower ?? subscriber
            const parts = { table, request, view, follower, signal, over: stop.signal }
            const opened = await openChanges({ ...shared, feeds, ...parts }).catch((error: unknown) => {
              held?.stop()
              throw error
            })
            if (opening === openings) followed = opened // or it has been opened again meanwhile
            return () => {
              held?.stop()
              opened.stop()
            }
          },
          flush: () => window?.flush(),
          live: () => Promise.resolve(), // the log keeps the events of an outage
          positionOf: change => change.position,
          replay: () => replay,
        },
      )
    },
    follow(relid, listener) {
      return log.follow('t', relid, {
        event(event) {
          const read = event.operation === 'T' ? undefined : known.read(event)
          listener.change({ relid, position: event.position, table: read?.table, images: read?.images })
        },
        lost: () => listener.lost(),
      })
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
    tableOf: relid => known.table(relid),
    generationOf: relid => known.table(relid)?.generation,
    settled: feeds.settled,
    pause: feeds.pause,
    resume: feeds.resume,
    async close() {
      stop.abort(stopping())
      known.close()
      await feeds.close()
    },
  }
}

const noViewers: CheckVisibility = async () => {
  throw new TypeError('a request has a viewer, but checkVisibility is not set')
}
