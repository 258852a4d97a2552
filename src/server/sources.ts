import type pg from 'pg'
import { createCatalog } from '../catalog/catalog-watch.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { Settings } from '../config/index.js'
import type { Observe } from '../lib/observation.js'
import type { LiveQueries } from '../live/live-contract.js'
import { createLiveQueries } from '../live/live-queries.js'
import { LogFollower } from '../log/log-follower.js'
import { createLogTroubles, type LogTroubles } from '../log/log-troubles.js'
import { BELL, createBell, createPollDoorbell } from '../log/pace/doorbell.js'
import { createRetention } from '../log/retention.js'
import { KICK_CHANNEL } from '../postgres/channel-name.js'
import type { ProofSender } from '../postgres/delivery-proof.js'
import { Listener } from '../postgres/listener.js'
import { pinSession } from '../postgres/pinned-settings.js'
import { createRowAccess } from '../rls/row-access.js'
import { createTableAccess } from '../rls/table-access.js'
import { createPresentRows } from '../snapshots/present-rows.js'
import { createSnapshots } from '../snapshots/snapshots.js'
import { type Channels, createChannels } from '../sources/channels/channels.js'
import type { EventCounts } from '../sources/event-counts.js'
import { createSchemaSwitch } from '../sources/tables/schema-switch.js'
import { createTables } from '../sources/tables/tables.js'
import { type AuthorisedTables, createAuthorisedTables } from './authorised-tables.js'
import type { ServerDatabase } from './open-database.js'
import type { PrepareReload } from './reload/reload.js'
import { createReloadingTables } from './reload/reloading-tables.js'
import { createViewerPolicies } from './viewer-policies.js'

export interface SourcesOptions {
  /** A reload changes some of them. */
  readonly settings: Settings
  readonly config: pg.ClientConfig
  /** The login that watches tables. */
  readonly watcher: ServerDatabase['watcher']
  /** See Listener. */
  readonly lend: () => Promise<ProofSender>
  /** Called with the watched tables, first and at each change: at that position of the log. The pump waits until it resolves. */
  readonly onTables: (tables: readonly WatchedTable[]) => Promise<void>
  /** Whether viewers have roles, so that the database's grants and policies decide what they may read. */
  readonly hasRoles: boolean
  /**
   * Called when a viewer may have been kicked, or the notification of a kick may have been missed. Undefined: kicks are not
   * supported.
   */
  readonly onKick: (() => void) | undefined
  /** Whether this server needs notifications. False: it opens no LISTEN connection. */
  readonly needsNotifications: boolean
  /** Resolves once the frames of the events dispatched so far have been sent. */
  readonly breathe: () => Promise<void>
  /** Counts the events of the log, and notifications. */
  readonly counts: EventCounts
  readonly observe: Observe
}

/** The parts that read from the database. */
export interface Sources {
  readonly channels: Channels
  readonly notifications: Pick<Listener, 'ready' | 'isDeaf'>
  readonly log: Pick<LogFollower, 'state' | 'cursors' | 'position' | 'follow'> & {
    readonly stall: LogTroubles['stall']
    /** False: the loop that reads the log has made no step for longer than its waits can last together, so it is stuck. */
    readonly isMoving: boolean
  }
  readonly tables: AuthorisedTables
  readonly tableOf: (relid: string) => WatchedTable | undefined
  readonly liveQueries: Pick<LiveQueries, 'size' | 'costliest'>
  /** Compares the tables that the configuration declares again, if it declares others. */
  readonly prepare: PrepareReload
  /** Calls `onTables` again, since something else that the schema depends on has changed. */
  announceTables(): void
  start(): void
  /** Pauses and resumes the dispatching of events. Both are idempotent. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * Longest waits in the loop that reads the log, apart from those that are options, in ms: for a page (30 s), and for the columns of a
 * table that has changed (300 s).
 */
const LOG_WAITS_MS = 330_000

/** Connections that read live queries; there is one more, for cuts. */
const LIVE_READERS = 3

/**
 * Wires the parts that read from the database, from the bottom up: the LISTEN connection, the connections that read the log and the
 * catalogue, then channels, snapshots and tables. The one cycle is the change of the schema, which goes from the log up to the groups
 * and back: `schemaSwitch.setTarget` closes it.
 */
export function createSources(options: SourcesOptions): Sources {
  const {
    settings,
    config,
    watcher,
    lend,
    onTables,
    onKick,
    hasRoles,
    needsNotifications,
    breathe,
    counts,
    observe,
  } = options
  const { connectTimeout, reconnectMax, safety, stallTimeout } = settings
  const isPooled = settings.doorbell === 'poll' // polling works through any pooler
  const own = isPooled ? config : pinSession(config, { runs: 'ours' })
  const forPolicies = isPooled ? config : pinSession(config, { runs: 'policies' })

  // Notifications.
  const listener = new Listener({ ...settings, config, lend, observe })
  // Through a pooler in transaction mode no notification arrives.
  if (onKick && !isPooled) listener.keep(KICK_CHANNEL, { notify: onKick, onListening: onKick })

  // Grants and row-level security.
  const rowAccess = hasRoles
    ? createRowAccess({ ...settings, config: forPolicies, keepsPrepared: !isPooled, observe })
    : undefined
  const tableAccess = hasRoles
    ? createTableAccess({ ...settings, config: own, keepsPrepared: !isPooled, observe })
    : undefined

  // The log.
  const doorbell = isPooled ? createPollDoorbell(settings) : createBell(settings)
  const troubles = createLogTroubles(observe)
  const schemaSwitch = createSchemaSwitch()
  const log = new LogFollower({
    ...settings,
    maxEvent: () => settings.maxEvent,
    config: own,
    doorbell,
    keepsPrepared: !isPooled,
    checkpoint: {
      ...schemaSwitch,
      authorise: events =>
        tableAccess?.read(new Set(events.flatMap(({ kind, topic }) => (kind === 't' ? [topic] : [])))),
    },
    // Without a LISTEN connection, this connection shows whether the database can be reached.
    ...(!needsNotifications && { onAnswer: () => observe({ type: 'database.reached' }) }),
    onFollowed() {
      observe({ type: 'log.followed' })
      if (!isPooled) listener.keep(BELL, { notify: doorbell.ring, onListening: doorbell.onListening })
    },
    breathe,
    onDispatch: event => counts.dispatched(event),
    troubles,
    observe,
  })
  const retention = createRetention({ limits: settings, connectTimeout, config: own, observe })
  const declared = createReloadingTables(settings, {
    ...watcher,
    connectTimeout,
    onWatched: () => void catalog.refreshNow(),
    observe,
  })
  const catalog = createCatalog({
    ...settings,
    config: own,
    declare: declared.check,
    onChange(list, paused) {
      schemaSwitch.offer(list, paused)
      log.wake()
    },
    observe,
  })

  // Channels and tables.
  const channels = createChannels({ listener, log, onNotified: name => counts.notified(name), observe })
  const snapshots = createSnapshots({
    ...settings,
    maxBytes: () => settings.maxSnapshot,
    cursors: log.cursors,
    config: forPolicies,
    keepsPrepared: !isPooled,
    observe,
  })
  const present =
    tableAccess && rowAccess ? createPresentRows({ snapshots, tableAccess, rowAccess }) : undefined
  const tables = createTables({
    log,
    ...(rowAccess && {
      checkVisibility: rowAccess.checkVisibility,
      readConditions: rowAccess.readConditions,
    }),
    present,
    maxFilterWork: settings.maxFilterWork,
    async refresh(relid, generation) {
      await catalog.refreshNow(relid, generation)
      return catalog.tables?.find(table => table.relid === relid)?.generation
    },
    observe,
  })
  // Connections of their own: live queries wait for each other only, and have other limits.
  const liveSnapshots = createSnapshots({
    ...settings,
    purpose: 'live',
    queryTimeout: settings.liveTimeout,
    maxBytes: () => settings.maxLiveResult,
    flags: { timeout: '--live-timeout', bytes: '--max-live-result' },
    readers: LIVE_READERS,
    cursors: log.cursors,
    config: forPolicies,
    keepsPrepared: !isPooled,
    observe,
  })
  const liveQueries = createLiveQueries({
    snapshots: liveSnapshots,
    follow: tables.follow,
    position: () => log.position,
    maxQueries: () => settings.maxLiveQueries,
    checkVisibility: rowAccess?.checkVisibility,
    observe,
  })
  // Set late, because at each change the pump waits until the tables, the schema and the groups above it have switched.
  schemaSwitch.setTarget({
    tables,
    refresh: catalog.refreshNow,
    onSwitched(list) {
      if (settings.liveRefresh === undefined) void tableAccess?.reportUnfollowed()
      return onTables(list)
    },
  })

  const longestStep = LOG_WAITS_MS + connectTimeout + reconnectMax + safety + stallTimeout
  const started = [log, catalog, retention, ...(tableAccess ? [tableAccess] : [])]
  const paused = [listener, log, tables]

  return {
    channels,
    notifications: listener,
    log: {
      get state() {
        return log.state
      },
      get position() {
        return log.position
      },
      get stall() {
        return troubles.stall
      },
      get isMoving() {
        return performance.now() - log.movedAt <= longestStep
      },
      cursors: log.cursors,
      follow: (...args) => log.follow(...args),
    },
    tableOf: tables.tableOf,
    liveQueries,
    tables: createAuthorisedTables({
      tables,
      snapshots,
      liveQueries,
      tableAccess,
      rowAccess,
      policies:
        tableAccess &&
        createViewerPolicies({
          watch: tableAccess.policies,
          tableOf: tables.tableOf,
          liveRefresh: settings.liveRefresh,
        }),
    }),
    prepare: declared.prepare,
    announceTables: catalog.repeat,
    start() {
      if (needsNotifications) listener.start()
      for (const part of started) part.start()
    },
    pause() {
      for (const part of paused) part.pause()
    },
    resume() {
      for (const part of paused) part.resume()
    },
    async close() {
      liveQueries.close()
      const all = [
        listener,
        ...started,
        tables,
        snapshots,
        liveSnapshots,
        ...(rowAccess ? [rowAccess] : []),
        declared,
      ]
      await Promise.all(all.map(part => part.close()))
    },
  }
}
