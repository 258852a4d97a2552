import { buildSchema } from '../../schema/index.js'
import type { Authenticate } from '../auth/authenticated.js'
import { type Auth, createAuth } from '../auth/index.js'
import type { Settings } from '../config/index.js'
import { createBackpressure } from '../delivery/backpressure.js'
import { createGroups } from '../delivery/groups.js'
import { createScheduler } from '../delivery/scheduler.js'
import { SendDelays } from '../delivery/send-delays.js'
import { createEngine } from '../graphql/engine.js'
import { createClientErrors } from '../graphql/errors.js'
import { exampleDocument } from '../graphql/example-document.js'
import { createGraphqlYoga } from '../graphql/yoga.js'
import { createClientMemory } from '../lib/limits/client-memory.js'
import type { Observe } from '../lib/observation.js'
import { askTime, createClockOffset } from '../postgres/clock-offset.js'
import { pinSession } from '../postgres/pinned-settings.js'
import { createPool } from '../postgres/pool.js'
import { EventCounts } from '../sources/event-counts.js'
import { createHealth } from '../telemetry/health.js'
import { METRICS, type Metrics } from '../telemetry/metrics/metrics.js'
import { createConnections } from '../transport/connections.js'
import { drainConnections } from '../transport/drain.js'
import type { AnswerHealth } from '../transport/http/health.js'
import { createClientAddresses } from '../transport/limits/client-address.js'
import { createFilterAccounts } from '../transport/limits/filter-accounts.js'
import { createViewerLimits } from '../transport/limits/viewer-limits.js'
import { composeTransports } from './compose-transports.js'
import type { FirstContact } from './first-contact.js'
import type { HttpServers } from './http-servers.js'
import { createDeepHealth } from './inspection/deep-health.js'
import { exposureOf } from './inspection/exposure.js'
import { createInspect } from './inspection/inspect.js'
import { createLiveSchema, type LiveSchema } from './live-schema.js'
import type { ServerDatabase } from './open-database.js'
import { composeReload } from './reload/compose-reload.js'
import type { Reloaded } from './reload/reload.js'
import { createReloadingOrigins } from './reload/reloading-origins.js'
import { mostClientMemory, schemaLimits } from './schema-limits.js'
import { createServerDocuments } from './server-documents.js'
import type { ServerStatus } from './server-status.js'
import { createSources, type Sources } from './sources.js'
import { createViewerContext } from './viewer-context.js'

/** Longest delay of a timer in Node, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface ComposeOptions {
  /** The settings in force. `reload` changes them; each part reads those that may change at each use. */
  readonly settings: Settings
  readonly database: ServerDatabase
  readonly authenticate: Authenticate | undefined
  readonly contact: Pick<FirstContact, 'isMade' | 'failed' | 'made'>
  /** The counts that `observe` feeds, which `/metrics` shows. */
  readonly metrics: Metrics
  readonly observe: Observe
}

/** The parts of a server that are started and closed. */
export interface Parts {
  readonly auth: Auth
  readonly sources: Sources
  readonly liveSchema: LiveSchema
  readonly http: HttpServers
  status(): ServerStatus
  /** @throws ListenqlError BAD_CONFIGURATION; the former settings stay in force */
  reload(next: Settings): Reloaded
  /**
   * Ends the subscriptions and connections of clients, then closes the connections to the database.
   * @param drain time in ms over which the ends are spread; clients that connect meanwhile are served
   */
  close(drain: number): Promise<void>
}

/**
 * Wires the parts of a server together, from the bottom up: each part uses only parts that are created before it in this function.
 * The one cycle, from delivery back to the parts that read from Postgres, is closed by `backpressure.pauses`.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function compose({
  settings,
  database,
  authenticate,
  contact,
  metrics,
  observe,
}: ComposeOptions): Parts {
  const { stallTimeout } = settings

  const documents = createServerDocuments(settings)

  // Viewers.
  const origins = createReloadingOrigins(settings)
  const auth = createAuth({
    settings,
    authenticate,
    // A pooler does not pass on settings that are pinned at connect.
    config: settings.doorbell === 'poll' ? database.config : pinSession(database.config, { runs: 'ours' }),
    isDemo: database.embedded !== undefined,
    trustsCookiesOf: origins.isOriginTrusted,
    observe,
  })
  const { trustedDocumentsOnly } = settings
  const { graphiql = !auth.isConfigured && !trustedDocumentsOnly, introspection = !auth.isConfigured } =
    settings

  const { servesMetrics, isInspected } = exposureOf(settings, auth.isConfigured)

  // Delivery: groups of subscribers, and the connections that send their frames.
  const scheduler = createScheduler(error =>
    observe({ type: 'fault', id: 'delivery', message: 'delivery failed', error }),
  )
  const backpressure = createBackpressure({ limits: settings, scheduler, observe })
  const memory = createClientMemory(mostClientMemory(settings))
  const clock = createClockOffset(() => askTime(pool, settings.connectTimeout))
  const delays = new SendDelays({
    scheduler,
    now: clock.now,
    bounds: METRICS.listenql_delivery_seconds.bounds ?? [],
  })
  const groups = createGroups({
    ...{ limits: settings, scheduler, backpressure, memory, observe },
    delays: isInspected ? delays : undefined,
  })
  const addresses = createClientAddresses(settings.trustProxy)
  const connections = createConnections({
    groups,
    sessions: auth.sessions,
    rules: auth.rules,
    addresses,
    viewerLimits: createViewerLimits(settings),
    memory,
    filterAccounts: createFilterAccounts(() => settings.filterRate),
    outbound: { limits: settings, stallTimeout, scheduler, backpressure, memory, observe },
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
    limits: () => schemaLimits(settings),
    observe,
  })

  // The parts that read from the database.
  let tableCount = 0
  const needsNotifications = settings.doorbell === 'bell' || auth.rules.opensChannels
  const pool = createPool(database.config, settings.connectTimeout, {
    idleTimeout: Math.min(Math.max(2 * settings.heartbeat, 30_000), MAX_TIMER_MS),
  })
  const patternOf = (channel: string) => auth.rules.patternOf(channel) ?? 'other'
  const counts = new EventCounts(patternOf)
  const sources = createSources({
    settings,
    config: database.config,
    watcher: database.watcher,
    lend: pool.lend,
    onTables: list => {
      tableCount = list.length
      return liveSchema.follow(list)
    },
    counts,
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
  const contextFor = createViewerContext({ auth, channels, tables, notify: pool.notify, observe })
  const engine = createEngine({
    getEnveloped: yoga.getEnveloped,
    documents,
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
    observe,
  })

  // Health and metrics.
  let phase: 'serving' | 'draining' | 'stopping' = 'serving'
  const health = createHealth({
    notifications: () => (notifications.ready ? 'yes' : notifications.isDeaf ? 'deaf' : 'no'),
    needsNotifications,
    log: () => log.state,
    stall: () => log.stall,
    showsDetails: !auth.isConfigured,
    phase: () => phase,
  })
  const deepHealth = createDeepHealth({
    groups,
    follow: log.follow,
    publish: pool.publish,
    outbound: { scheduler, backpressure, memory, observe },
  })
  const answerHealth =
    (showsDetails: boolean): AnswerHealth =>
    (path, isDeep = false) =>
      isDeep && path === '/healthz' ? deepHealth(showsDetails) : health.answer(path)
  const inspect = createInspect({
    ...{
      settings,
      metrics,
      connections,
      groups,
      memory,
      delays,
      counts,
      sources,
      health,
      pool,
      clock,
      observe,
    },
    patternOf,
    tables: () => tableCount,
    isUsed: isInspected,
  })
  void contact.made.then(inspect.start)

  // Transports.
  const http = composeTransports({
    ...{
      settings,
      auth,
      origins,
      addresses,
      memory,
      connections,
      engine,
      log,
      channels,
      toClientError,
      observe,
    },
    // Without introspection, the page must not show which tables there are.
    graphiqlExample: graphiql ? () => exampleDocument(introspection ? schema : emptySchema) : undefined,
    health: answerHealth(!auth.isConfigured),
    operatorsHealth: answerHealth(true),
    inspection: inspect.inspection,
    servesMetrics,
    isServing: () => phase === 'serving',
  })

  return {
    auth,
    sources,
    liveSchema,
    http,
    reload: composeReload({
      ...{ settings, auth, origins, documents, http, sources, memory, connections, counts },
      needsNotifications,
      forgetDocuments: () => yoga.use(schema),
    }),
    status() {
      const readiness = health.readiness()
      // The loop may wait for other parts for as long as the database is away.
      const isAlive = log.isMoving || readiness.database === 'unreachable'
      return { ...readiness, connections: connections.size, isAlive }
    },
    async close(drain) {
      if (drain > 0) {
        phase = 'draining'
        await drainConnections(connections, drain)
      }
      phase = 'stopping'
      let authClosed: Promise<void> | undefined
      const endClients = () => {
        connections.endAll()
        authClosed = auth.close() // refuses the viewers that wait to be admitted
      }
      await http.close(endClients, (settings.shutdownTimeout - drain) / 4)
      backpressure.close()
      await inspect.close()
      await Promise.all([sources.close(), authClosed])
      await pool.close()
    },
  }
}
