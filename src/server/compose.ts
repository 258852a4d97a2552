import { getHeapStatistics } from 'node:v8'
import type { SchemaContext } from '../../schema/context.js'
import { buildSchema } from '../../schema/index.js'
import type { Authenticate } from '../auth/authenticated.js'
import { type Auth, createAuth } from '../auth/index.js'
import type { Viewer } from '../auth/viewer.js'
import type { Settings } from '../config/index.js'
import { createBackpressure } from '../delivery/backpressure.js'
import { createGroups } from '../delivery/groups.js'
import { createScheduler } from '../delivery/scheduler.js'
import { createEngine } from '../graphql/engine.js'
import { createClientErrors } from '../graphql/errors.js'
import { exampleDocument } from '../graphql/example-document.js'
import { createGraphqlYoga } from '../graphql/yoga.js'
import { createClientMemory } from '../lib/limits/client-memory.js'
import type { Observe } from '../lib/observation.js'
import { pinSession } from '../postgres/pinned-settings.js'
import { createPool } from '../postgres/pool.js'
import { createHealth } from '../telemetry/health.js'
import { createAdmission } from '../transport/admission.js'
import { isLoopback } from '../transport/bind.js'
import { createConnections } from '../transport/connections.js'
import { createGraphiql } from '../transport/http/graphiql.js'
import { createGraphqlHttp } from '../transport/http/graphql-http.js'
import { createPage } from '../transport/http/page.js'
import { createStreamResponses } from '../transport/http/stream-response.js'
import { createAddressLimits } from '../transport/limits/address-limits.js'
import { createClientAddresses } from '../transport/limits/client-address.js'
import { createFilterAccounts } from '../transport/limits/filter-accounts.js'
import { createOrigins } from '../transport/limits/origins.js'
import { createViewerLimits } from '../transport/limits/viewer-limits.js'
import { createRouter } from '../transport/router.js'
import { createGraphqlWs } from '../transport/ws/graphql-ws.js'
import { createListen } from '../transport/ws/listen.js'
import type { FirstContact } from './first-contact.js'
import { createHttpServers, type HttpServers } from './http-servers.js'
import { createLiveSchema, type LiveSchema } from './live-schema.js'
import type { ServerDatabase } from './open-database.js'
import { createSources, type Sources } from './sources.js'

/** Longest delay of a timer in Node, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface ComposeOptions {
  readonly settings: Settings
  readonly database: ServerDatabase
  readonly authenticate: Authenticate | undefined
  readonly contact: Pick<FirstContact, 'isMade' | 'failed'>
  readonly observe: Observe
}

/** The parts of a server that are started and closed. */
export interface Parts {
  readonly auth: Auth
  readonly sources: Sources
  readonly liveSchema: LiveSchema
  readonly http: HttpServers
  /** Ends the subscriptions and connections of clients, then closes the connections to the database. */
  close(): Promise<void>
}

/**
 * Wires the parts of a server together, from the bottom up: each part uses only parts that are created before it in this function.
 * The one cycle, from delivery back to the parts that read from Postgres, is closed by `backpressure.pauses`.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function compose({ settings, database, authenticate, contact, observe }: ComposeOptions): Parts {
  const { maxBuffer, maxEvent, stallTimeout, basePath } = settings
  const prefix = basePath === '/' ? '' : basePath

  // Viewers.
  const origins = createOrigins({
    allowed: settings.corsOrigins,
    loopback: isLoopback(settings.host),
    urlBase: settings.urlBase,
  })
  const auth = createAuth({
    settings,
    authenticate,
    // A pooler does not pass on settings that are pinned at connect.
    config: settings.doorbell === 'poll' ? database.config : pinSession(database.config, { runs: 'ours' }),
    isDemo: database.embedded !== undefined,
    trustsCookiesOf: origins.isOriginTrusted,
    observe,
  })
  const { graphiql = !auth.isConfigured, introspection = !auth.isConfigured } = settings

  // Delivery: groups of subscribers, and the connections that send their frames.
  const scheduler = createScheduler(error =>
    observe({ type: 'fault', id: 'delivery', message: 'delivery failed', error }),
  )
  const backpressure = createBackpressure({ maxBuffer, scheduler, observe })
  const memory = createClientMemory(
    settings.maxClientMemory ?? Math.floor(getHeapStatistics().heap_size_limit / 2),
  )
  const groups = createGroups({ maxEvent, scheduler, backpressure, memory, observe })
  const addresses = createClientAddresses(settings.trustProxy)
  const connections = createConnections({
    groups,
    sessions: auth.sessions,
    addresses,
    viewerLimits: createViewerLimits(settings),
    memory,
    filterAccounts: createFilterAccounts(settings.filterRate),
    outbound: { maxBuffer, stallTimeout, scheduler, backpressure },
    observe,
  })

  // The schema, which follows the tables.
  const toClientError = createClientErrors(observe, { suggestNames: introspection })
  const emptySchema = buildSchema()
  let schema = emptySchema
  const yoga = createGraphqlYoga({ schema, toClientError, limits: settings, introspection })
  const liveSchema = createLiveSchema({
    async onChange(changed) {
      schema = changed
      yoga.use(schema)
      await groups.renew()
    },
    limits: {
      rows: settings.maxRows,
      liveRows: settings.maxLiveRows,
      relatedRows: settings.maxRelatedRows,
      relationDepth: settings.maxRelationDepth,
      relations: settings.maxRelations,
      filter: {
        depth: settings.maxFilterDepth,
        conditions: settings.maxFilterConditions,
        values: settings.maxFilterValues,
        length: settings.maxFilterText,
      },
    },
    observe,
  })

  // The parts that read from the database.
  const needsNotifications = settings.doorbell === 'bell' || auth.rules.opensChannels
  const pool = createPool(database.config, settings.connectTimeout, {
    idleTimeout: Math.min(Math.max(2 * settings.heartbeat, 30_000), MAX_TIMER_MS),
  })
  const sources = createSources({
    settings,
    config: database.config,
    lend: pool.lend,
    onTables: liveSchema.follow,
    hasRoles: auth.isConfigured,
    onKick: auth.isConfigured ? auth.wake : undefined,
    needsNotifications,
    breathe: () => new Promise(resolve => scheduler.afterwards(resolve)),
    observe,
  })
  const { channels, notifications, tables, log } = sources
  // Set late, because sources need the scheduler of delivery: a burst that clients cannot take pauses reading from Postgres.
  backpressure.pauses(sources)

  // GraphQL.
  const contextFor = (viewer: Viewer): SchemaContext => ({
    channelSource: channels.source,
    notify: pool.notify,
    opensSources: true,
    keepsJsonText: true,
    viewer,
    rules: auth.rules.for(viewer),
    tableChanges: (table, request) => tables.changes(viewer, table, request),
    read: plan => tables.read(viewer, plan),
    live: (plan, every) => tables.live(viewer, plan, every),
    readable: table => tables.readable(viewer, table),
  })
  const engine = createEngine({
    getEnveloped: yoga.getEnveloped,
    contextFor,
    toClientError,
    schemaState: {
      get isKnown() {
        return liveSchema.isKnown
      },
      known: liveSchema.known,
      unreached: () => (contact.isMade ? undefined : contact.failed),
    },
    cursors: log.cursors,
  })

  // Transports.
  let isStopping = false
  const admit = createAdmission({ authenticator: auth, toClientError, addresses, observe })
  const addressLimits = createAddressLimits(
    addresses,
    settings.maxConnectionsPerAddress,
    settings.maxConnections,
  )
  const graphqlHttp = createGraphqlHttp({
    admit,
    engine,
    streams: createStreamResponses({ ...settings, connections, cursors: log.cursors, toClientError }),
    toClientError,
    // Without introspection, the page must not show which tables there are.
    graphiql: graphiql
      ? createGraphiql(() => exampleDocument(introspection ? schema : emptySchema))
      : undefined,
    addresses,
    memory,
    maxMessage: settings.maxMessage,
    stallTimeout,
  })
  const acceptGraphqlWs = createGraphqlWs({
    admit,
    engine,
    connections,
    cursors: log.cursors,
    memory,
    toClientError,
    keepAlive: settings.keepAlive,
    limits: settings,
    observe,
  })
  const listen = createListen({
    ...settings,
    ...{ admit, rules: auth.rules, channelSource: channels.source, connections, memory },
  })
  const health = createHealth({
    notifications: () => (notifications.ready ? 'yes' : notifications.isDeaf ? 'deaf' : 'no'),
    needsNotifications,
    log: () => log.state,
    stall: () => log.stall,
    showsDetails: !auth.isConfigured,
    isStopping: () => isStopping,
  })
  const router = createRouter({
    basePath: prefix,
    isBasePathOptional: settings.urlBase !== undefined,
    origins,
    page: createPage({ basePath: prefix }),
    graphqlHttp,
    acceptGraphqlWs,
    listen,
    health,
    maxMessage: settings.maxMessage,
    maxUrl: settings.maxUrl,
    addresses,
    addressLimits,
    toClientError,
    observe,
  })
  const http = createHttpServers({ settings, prefix, router, addressLimits })

  return {
    auth,
    sources,
    liveSchema,
    http,
    async close() {
      isStopping = true
      let authClosed: Promise<void> | undefined
      const endClients = () => {
        connections.endAll()
        authClosed = auth.close() // refuses the viewers that wait to be admitted
      }
      await http.close(endClients, settings.shutdownTimeout / 4)
      backpressure.close()
      await Promise.all([sources.close(), authClosed])
      await pool.close()
    },
  }
}
