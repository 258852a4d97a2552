import type { Auth } from '../../auth/index.js'
import type { Settings } from '../../config/index.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'
import type { EventCounts } from '../../sources/event-counts.js'
import type { Connections } from '../../transport/connections.js'
import type { HttpServers } from '../http-servers.js'
import { mostClientMemory, schemaLimits } from '../schema-limits.js'
import type { ServerDocuments } from '../server-documents.js'
import type { Sources } from '../sources.js'
import { createReload, type PrepareReload, type Reloaded, refuseReload } from './reload.js'
import type { ReloadingOrigins } from './reloading-origins.js'

export interface ComposeReloadOptions {
  /** The settings in force: the same object that the parts have. */
  readonly settings: Settings
  readonly auth: Auth
  readonly origins: ReloadingOrigins
  readonly documents: ServerDocuments
  readonly http: Pick<HttpServers, 'prepare'>
  readonly sources: Pick<Sources, 'prepare' | 'announceTables'>
  readonly memory: Pick<ClientMemory, 'max'>
  readonly connections: Pick<Connections, 'recheckChannels'>
  readonly counts: Pick<EventCounts, 'patternsChanged'>
  /** Whether there is a connection for notifications. */
  readonly needsNotifications: boolean
  /** Forgets the documents that have been parsed: they were checked against the former limits. */
  readonly forgetDocuments: () => void
}

/** What each part does when the settings change. Parts that read a setting at each use are not named here. */
export function composeReload(options: ComposeReloadOptions): (next: Settings) => Reloaded {
  const { settings, auth, connections, counts, memory, sources } = options

  const prepareChannels: PrepareReload = next => {
    if (!options.needsNotifications && auth.opensChannels(next))
      refuseReload('with --doorbell poll, the server has no connection for channels')
    const commit = auth.prepare(next)
    return () => {
      commit()
      counts.patternsChanged()
      // No channel that was allowed may stay open because its client connected early enough.
      connections.recheckChannels()
    }
  }

  const prepareLimits: PrepareReload = next => {
    const isSameSchema = JSON.stringify(schemaLimits(next)) === JSON.stringify(schemaLimits(settings))
    return () => {
      Object.assign(memory, { max: mostClientMemory(next) })
      options.forgetDocuments()
      if (!isSameSchema) sources.announceTables()
    }
  }

  return createReload({
    settings,
    parts: [
      options.origins.prepare,
      options.documents.prepare,
      options.http.prepare,
      sources.prepare,
      prepareChannels,
      prepareLimits,
    ],
  })
}
