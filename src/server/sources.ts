import type pg from 'pg'
import { createCatalog } from '../catalog/catalog-watch.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { Settings } from '../config/index.js'
import type { Observe } from '../lib/observation.js'
import { BELL, createBell, createPollDoorbell } from '../log/doorbell.js'
import { LogFollower } from '../log/log-follower.js'
import { createLogTroubles, type LogTroubles } from '../log/log-troubles.js'
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
import { createSchemaSwitch } from '../sources/tables/schema-switch.js'
import { createTables } from '../sources/tables/tables.js'
import { type AuthorisedTables, createAuthorisedTables } from './authorised-tables.js'

export interface SourcesOptions {
  readonly settings: Settings
  readonly config: pg.ClientConfig
  /** See Listener. */
  readonly lend: () => Promise<ProofSender>
  /** Called with the watched tables, first and whenever they change: at that place in the log, which waits until it resolves. */
  readonly onTables: (tables: readonly WatchedTable[]) => Promise<void>
  /** Whether viewers have roles, so that the database decides what they may read. */
  readonly hasRoles: boolean
  /** A viewer may have been kicked, or a notification of that may have been missed. Undefined if kicks are not supported. */
  readonly onKick: (() => void) | undefined
  /** False: nothing that this server does needs notifications, so there is no LISTEN connection. */
  readonly needsNotifications: boolean
  /** Resolves when the frames of the events so far have left. */
  readonly breathe: () => Promise<void>
  readonly observe: Observe
}

/** Everything that comes out of the database. */
export interface Sources {
  readonly channels: Channels
  readonly notifications: Pick<Listener, 'ready' | 'isDeaf'>
  readonly log: Pick<LogFollower, 'state' | 'cursors'> & { readonly stall: LogTroubles['stall'] }
  readonly tables: AuthorisedTables
  start(): void
  /** Stops and continues dispatching events. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * One LISTEN connection, one that reads the log, one that reads the catalogue, and what is made of them, from the bottom up. The
 * one cycle is the change of the schema, which goes from the log to the groups and back: `schemaSwitch.concerns` closes it.
 */
export function createSources(options: SourcesOptions): Sources {
  const { settings, config, lend, onTables, onKick, hasRoles, needsNotifications, breathe, observe } = options
  const isPooled = settings.doorbell === 'poll' // polling works through any pooler
  const own = isPooled ? config : pinSession(config, { runs: 'ours' })
  const forPolicies = isPooled ? config : pinSession(config, { runs: 'policies' })

  // Notifications.
  const listener = new Listener({ ...settings, config, lend, observe })
  // Through some poolers no notification arrives.
  if (onKick && !isPooled) listener.keep(KICK_CHANNEL, { notify: onKick, onListening: onKick })

  // What the database lets viewers read.
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
    config: own,
    doorbell,
    keepsPrepared: !isPooled,
    checkpoint: {
      ...schemaSwitch,
      authorise: events =>
        tableAccess?.read(new Set(events.flatMap(({ kind, topic }) => (kind === 't' ? [topic] : [])))),
    },
    // Without a LISTEN connection, this one says whether the database is there.
    ...(!needsNotifications && { onAnswer: () => observe({ type: 'database.reached' }) }),
    onFollowed() {
      if (!isPooled) listener.keep(BELL, { notify: doorbell.ring, onListening: doorbell.onListening })
    },
    breathe,
    troubles,
    observe,
  })
  const retention = createRetention({ ...settings, config: own, observe })
  const catalog = createCatalog({
    ...settings,
    config: own,
    onChange(list, paused) {
      schemaSwitch.offer(list, paused)
      log.wake()
    },
    observe,
  })

  // Channels and tables.
  const channels = createChannels({ listener, log })
  const snapshots = createSnapshots({
    ...settings,
    maxBytes: settings.maxSnapshot,
    cursors: log.cursors,
    config: forPolicies,
    observe,
  })
  const present =
    tableAccess && rowAccess ? createPresentRows({ snapshots, tableAccess, rowAccess }) : undefined
  const tables = createTables({
    log,
    ...(rowAccess && { checkVisibility: rowAccess.checkVisibility }),
    present,
    maxFilterWork: settings.maxFilterWork,
    async refresh(relid, generation) {
      await catalog.refreshNow(relid, generation)
      return catalog.tables?.find(table => table.relid === relid)?.generation
    },
    observe,
  })
  // Set late, since the log waits at each change until the tables, the schema and the groups above it have switched.
  schemaSwitch.concerns({ tables, refresh: catalog.refreshNow, onSwitched: onTables })

  const started = [log, catalog, retention, ...(tableAccess ? [tableAccess] : [])]
  const paused = [listener, log, tables]

  return {
    channels,
    notifications: listener,
    log: {
      get state() {
        return log.state
      },
      get stall() {
        return troubles.stall
      },
      cursors: log.cursors,
    },
    tables: createAuthorisedTables({ tables, snapshots, tableAccess, rowAccess }),
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
      const all = [listener, ...started, tables, snapshots, ...(rowAccess ? [rowAccess] : [])]
      await Promise.all(all.map(part => part.close()))
    },
  }
}
