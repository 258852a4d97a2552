import type pg from 'pg'
import { type Catalog, createCatalog } from '../catalog/catalog-watch.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { Settings } from '../config/index.js'
import type { Observe } from '../lib/observation.js'
import { BELL, createBell, createPollDoorbell } from '../log/doorbell.js'
import { LogFollower } from '../log/log-follower.js'
import { createLogTroubles, type LogTroubles } from '../log/log-troubles.js'
import { createRetention } from '../log/retention.js'
import { KICK_CHANNEL } from '../postgres/channel-name.js'
import type { ProofSender } from '../postgres/delivery-proof.js'
import { pinSession } from '../postgres/pinned-settings.js'
import { createRowAccess } from '../rls/row-access.js'
import { createTableAccess } from '../rls/table-access.js'
import { createPresentRows } from '../snapshots/present-rows.js'
import { createSnapshots } from '../snapshots/snapshots.js'
import { type Channels, createChannels } from '../sources/channels/channels.js'
import { createSchemaSwitch } from '../sources/tables/schema-switch.js'
import { createTables } from '../sources/tables/table-feed.js'
import { type AuthorisedTables, createAuthorisedTables } from './authorised-tables.js'

export interface SourcesOptions {
  readonly settings: Settings
  readonly config: pg.ClientConfig
  /** See Listener. */
  readonly lend: () => Promise<ProofSender>
  /** The watched tables, first and whenever they change: at that place in the log, which waits until it resolves. */
  readonly onTables: (tables: readonly WatchedTable[]) => Promise<void>
  /** Whether viewers have roles, so that the database decides what they may read. */
  readonly hasRoles: boolean
  /** Somebody may have been kicked, or a word of that may have been missed. Undefined: nobody can be. */
  readonly onKick: (() => void) | undefined
  /** False: nothing that this server does needs notifications, so that it does without the LISTEN connection. */
  readonly needsNotifications: boolean
  /** Resolves when what has come of the events so far has left. */
  readonly breathe: () => Promise<void>
  readonly observe: Observe
}

/** Everything that comes out of the database. */
export interface Sources {
  readonly channels: Channels
  readonly log: Pick<LogFollower, 'state' | 'cursors'> & { readonly stall: LogTroubles['stall'] }
  readonly tables: AuthorisedTables
  start(): void
  /** Stops and continues handing on events. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** One LISTEN connection, one that reads the log, one that looks at the catalogue, and what is made of them. */
export function createSources(options: SourcesOptions): Sources {
  const { settings, config, lend, onTables, onKick, hasRoles, needsNotifications, breathe, observe } = options
  const doorbell = settings.doorbell === 'poll' ? createPollDoorbell(settings) : createBell(settings)
  const isPooled = settings.doorbell === 'poll' // polling works through any pooler
  const own = isPooled ? config : pinSession(config, { runs: 'ours' })
  const forPolicies = isPooled ? config : pinSession(config, { runs: 'policies' })
  const troubles = createLogTroubles(observe)
  const log: LogFollower = new LogFollower({
    ...settings,
    config: own,
    doorbell,
    keepsPrepared: !isPooled,
    checkpoint: {
      pulling: () => schemaSwitch.pulling(),
      read: events =>
        tableAccess?.read(new Set(events.flatMap(({ kind, topic }) => (kind === 't' ? [topic] : [])))),
      before: event => schemaSwitch.before(event),
      drained: isHandedOn => schemaSwitch.drained(isHandedOn),
    },
    // Without a LISTEN connection, this one says whether the database is there.
    ...(!needsNotifications && { onAnswer: () => observe({ type: 'database.reached' }) }),
    onFollowed() {
      if (settings.doorbell === 'bell')
        channels.handle(BELL, { notify: doorbell.ring, onListening: doorbell.onListening })
    },
    breathe,
    troubles,
    observe,
  })
  const channels = createChannels({ ...settings, config, lend, log, observe })
  const rowAccess = hasRoles
    ? createRowAccess({ ...settings, config: forPolicies, keepsPrepared: !isPooled, observe })
    : undefined
  const tableAccess = hasRoles
    ? createTableAccess({ ...settings, config: own, keepsPrepared: !isPooled, observe })
    : undefined
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
  const catalog: Catalog = createCatalog({
    ...settings,
    config: own,
    onChange(list, paused) {
      schemaSwitch.offer(list, paused)
      log.wake()
    },
    observe,
  })
  const schemaSwitch = createSchemaSwitch({ tables, refresh: catalog.refreshNow, onSwitched: onTables })
  const retention = createRetention({ ...settings, config: own, observe })
  const parts = [channels, log, catalog, retention, ...(tableAccess ? [tableAccess] : [])]

  return {
    channels,
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
      for (const part of parts) if (part !== channels || needsNotifications) part.start()
      // Polling works through any pooler, and through some of them nothing is heard.
      if (onKick && settings.doorbell === 'bell')
        channels.handle(KICK_CHANNEL, { notify: onKick, onListening: onKick })
    },
    pause() {
      channels.pause()
      log.pause()
      tables.pause()
    },
    resume() {
      channels.resume()
      log.resume()
      tables.resume()
    },
    async close() {
      const all = [...parts, tables, snapshots, ...(rowAccess ? [rowAccess] : [])]
      await Promise.all(all.map(part => part.close()))
    },
  }
}
