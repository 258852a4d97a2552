import type pg from 'pg'
import { createRowAccess } from '../auth/row-access.js'
import { createTableAccess } from '../auth/table-access.js'
import type { Settings } from '../config/index.js'
import { createCatalog } from '../database/catalog-watch.js'
import { withSessionDefaults } from '../database/session-defaults.js'
import type { WatchedTable } from '../database/watched-table.js'
import { createAdoption } from '../events/adoption.js'
import { KICK_CHANNEL } from '../events/channel-name.js'
import { type Channels, createChannels } from '../events/channels.js'
import { BELL, createBell, createPollDoorbell } from '../events/doorbell.js'
import { EventLog } from '../events/event-log.js'
import { createRetention } from '../events/retention.js'
import { createSnapshots } from '../events/snapshots.js'
import { createTables } from '../events/tables.js'
import type { Observe } from '../lib/observation.js'
import { createPresentRows } from './present-rows.js'
import { createTableGate, type TableGate } from './table-gate.js'

export interface SourcesOptions {
  readonly settings: Settings
  readonly config: pg.ClientConfig
  /** The watched tables, first and whenever they change: at that place in the log, which waits until it resolves. */
  readonly onTables: (tables: readonly WatchedTable[]) => Promise<void>
  /** Whether viewers have roles, so that the database decides what they may read. */
  readonly hasRoles: boolean
  /** Somebody may have been kicked, or a word of that may have been missed. Undefined: nobody can be. */
  readonly onKick: (() => void) | undefined
  /** Resolves when what has come of the events so far has left. */
  readonly breathe: () => Promise<void>
  readonly observe: Observe
}

/** Everything that comes out of the database. */
export interface Sources {
  readonly channels: Channels
  readonly tables: TableGate
  start(): void
  /** Stops and continues handing on events. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** One LISTEN connection, one that reads the log, one that looks at the catalogue, and what is made of them. */
export function createSources(options: SourcesOptions): Sources {
  const { settings, config, onTables, onKick, hasRoles, breathe, observe } = options
  const doorbell = settings.doorbell === 'poll' ? createPollDoorbell(settings) : createBell(settings)
  const isPooled = settings.doorbell === 'poll' // polling works through any pooler
  const log: EventLog = new EventLog({
    ...settings,
    config: isPooled ? config : withSessionDefaults(config),
    doorbell,
    keepsPrepared: !isPooled,
    checkpoint: {
      pulling: () => adoption.pulling(),
      read: events =>
        tableAccess?.read(new Set(events.flatMap(({ kind, topic }) => (kind === 't' ? [topic] : [])))),
      before: event => adoption.before(event),
      drained: isHandedOn => adoption.drained(isHandedOn),
    },
    onFollowed() {
      if (settings.doorbell === 'bell') channels.hear(BELL, { notify: doorbell.ring, hears: doorbell.hears })
    },
    breathe,
    observe,
  })
  const channels = createChannels({ ...settings, config, log, observe })
  const rowAccess = hasRoles
    ? createRowAccess({ ...settings, config, keepsPrepared: !isPooled, observe })
    : undefined
  const tableAccess = hasRoles
    ? createTableAccess({ ...settings, config, keepsPrepared: !isPooled, observe })
    : undefined
  const snapshots = createSnapshots({ ...settings, maxBytes: settings.maxSnapshot, config, observe })
  const present =
    tableAccess && rowAccess ? createPresentRows({ snapshots, tableAccess, rowAccess }) : undefined
  const tables = createTables({ log, ...(rowAccess && { look: rowAccess.sees }), present, observe })
  const catalog = createCatalog({
    ...settings,
    config,
    onChange(list) {
      adoption.offer(list)
      log.wake()
    },
    observe,
  })
  const adoption = createAdoption({ tables, refresh: catalog.refreshNow, onAdopted: onTables })
  const retention = createRetention({ ...settings, config, observe })
  const parts = [channels, log, catalog, retention, ...(tableAccess ? [tableAccess] : [])]

  return {
    channels,
    tables: createTableGate({ tables, snapshots, tableAccess, rowAccess }),
    start() {
      for (const part of parts) part.start()
      // Polling works through any pooler, and through some of them nothing is heard.
      if (onKick && settings.doorbell === 'bell')
        channels.hear(KICK_CHANNEL, { notify: onKick, hears: onKick })
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
