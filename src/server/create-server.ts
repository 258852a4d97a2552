import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import type pg from 'pg'
import type { SchemaContext } from '../../schema/context.js'
import type { Authenticate } from '../auth/authenticated.js'
import { createAuth } from '../auth/index.js'
import type { Viewer } from '../auth/viewer.js'
import { databaseOf, resolveSettings, type Settings } from '../config/index.js'
import { createBackpressure } from '../delivery/backpressure.js'
import { createGroups } from '../delivery/groups.js'
import { createScheduler } from '../delivery/scheduler.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded/index.js'
import { createEngine } from '../graphql/engine.js'
import { createClientErrors } from '../graphql/errors.js'
import { createGraphqlYoga } from '../graphql/yoga.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { createClientMemory } from '../lib/limits/client-memory.js'
import type { Observe } from '../lib/observation.js'
import { connectionOptions, describeConnection } from '../postgres/conninfo.js'
import { pinSession } from '../postgres/pinned-settings.js'
import { createPool } from '../postgres/pool.js'
import { createHealth } from '../telemetry/health.js'
import { createLogObserver } from '../telemetry/log-observations.js'
import { createLogger, type Logger } from '../telemetry/logger.js'
import { createAdmission } from '../transport/admission.js'
import { bind, isLoopback } from '../transport/bind.js'
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
import { ignoreUpgrade } from '../transport/ws/ignore-upgrade.js'
import { createListen } from '../transport/ws/listen.js'
import { createFirstContact, isReasonToExit } from './first-contact.js'
import { createLiveSchema } from './live-schema.js'
import { createSources } from './sources.js'

/** Longest that a server which starts waits for the database before it accepts clients, in ms. */
const START_PATIENCE_MS = 2000

/** Longest time of a timer in Node, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Every option of docs/configuration.md under its camelCase name (durations in ms, sizes in bytes), and what only code can give. */
export interface ServerOptions extends Partial<Settings> {
  /**
   * Says who asks, in the place of tokens, for people with sessions of their own. Then viewers have roles, and who is not
   * allowed anything may do nothing.
   */
  readonly authenticate?: Authenticate
  /** Takes every observation of the core, beside the log. */
  readonly observe?: Observe
  /** Takes the log instead of stderr. */
  readonly logger?: Logger
  /** Ends a start that is under way; `createServer` rejects with its reason. A server that has started is ended by `close`. */
  readonly signal?: AbortSignal
}

/** A server that accepts clients. Whether the database is there is another matter: see `/readyz`. */
export interface ListenqlServer {
  /** Where it is reached, without a trailing slash, such as `http://localhost:7700`. */
  readonly url: string
  readonly port: number
  /** Set if HTTPS is served. */
  readonly httpsUrl: string | undefined
  /** The database in words, without password. */
  readonly database: string
  /** Set if the server runs its own Postgres. */
  readonly embedded: EmbeddedPostgres | undefined
  /** Ends streams as their protocols say goodbye, then closes the database and, if it is its own, stops Postgres. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the whole server: database, schema, transports.
 * @throws ListenqlError BAD_CONFIGURATION, PORT_IN_USE, EMBEDDED_POSTGRES_FAILED
 */
export async function createServer(options: ServerOptions = {}): Promise<ListenqlServer> {
  const { observe: observer, logger: givenLogger, authenticate, signal, ...partial } = options
  const settings = resolveSettings(partial)
  const logger = givenLogger ?? createLogger({ level: settings.logLevel, format: settings.logFormat })
  const logObserver = createLogObserver(logger)
  const contact = createFirstContact()
  let hasStarted = false
  const observe: Observe = observation => {
    contact.observe(observation)
    if (!settings.exitOnError || hasStarted || !isReasonToExit(observation)) logObserver(observation)
    observer?.(observation)
  }
  const database = await openDatabase(settings, logger, signal)
  const { basePath } = settings
  const prefix = basePath === '/' ? '' : basePath

  const origins = createOrigins({
    allowed: settings.corsOrigins,
    loopback: isLoopback(settings.host),
    urlBase: settings.urlBase,
  })
  const auth = await orClose(database.embedded, () =>
    createAuth({
      settings,
      authenticate,
      // A pooler does not pass on what is pinned.
      config: settings.doorbell === 'poll' ? database.config : pinSession(database.config, { runs: 'ours' }),
      isDemo: database.embedded !== undefined,
      trustsCookiesOf: origins.isOriginTrusted,
      observe,
    }),
  )
  const addresses = createClientAddresses(settings.trustProxy)
  const addressLimits = createAddressLimits(
    addresses,
    settings.maxConnectionsPerAddress,
    settings.maxConnections,
  )
  const { graphiql = !auth.isConfigured, introspection = !auth.isConfigured } = settings
  const scheduler = createScheduler(error =>
    observe({ type: 'fault', id: 'delivery', message: 'delivery failed', error }),
  )
  const pool = createPool(database.config, settings.connectTimeout, {
    idleTimeout: Math.min(Math.max(2 * settings.heartbeat, 30_000), MAX_TIMER_MS),
  })
  const backpressure = createBackpressure({
    maxBuffer: settings.maxBuffer,
    scheduler,
    onChange: paused => (paused ? sources.pause() : sources.resume()),
    observe,
  })
  const relieve = () => connections.relieve()
  const memory = createClientMemory(
    settings.maxClientMemory ?? Math.floor(getHeapStatistics().heap_size_limit / 2),
    () => scheduler.afterwards(relieve), // what came in this turn may have been taken at its end
  )
  const groups = createGroups({ maxEvent: settings.maxEvent, scheduler, backpressure, memory, observe })
  const connections = createConnections({
    groups,
    sessions: auth.sessions,
    addresses,
    viewerLimits: createViewerLimits(settings),
    memory,
    filterAccounts: createFilterAccounts(settings.filterRate),
    outbound: { maxBuffer: settings.maxBuffer, stallTimeout: settings.stallTimeout, scheduler, backpressure },
    observe,
  })
  const liveSchema = createLiveSchema({
    async onChange(schema) {
      yoga.use(schema)
      await groups.renew()
    },
    limits: {
      rows: settings.maxRows,
      filter: {
        depth: settings.maxFilterDepth,
        conditions: settings.maxFilterConditions,
        values: settings.maxFilterValues,
        length: settings.maxFilterText,
      },
    },
    observe,
  })
  const needsNotifications = settings.doorbell === 'bell' || auth.rules.opensChannels
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
  const { channels } = sources
  const context = {
    channelSource: channels.source,
    notify: pool.notify,
    opensSources: true,
    keepsJsonText: true,
  }
  const { tables } = sources
  const contextFor = (viewer: Viewer): SchemaContext => ({
    ...context,
    viewer,
    rules: auth.rules.for(viewer),
    tableChanges: (table, request) => tables.changes(viewer, table, request),
    snapshot: (table, request) => tables.snapshot(viewer, table, request),
    readable: table => tables.readable(viewer, table),
  })
  const toClientError = createClientErrors(observe, { suggestNames: introspection })
  const yoga = createGraphqlYoga({
    schema: liveSchema.initial,
    toClientError,
    limits: settings,
    introspection,
  })
  const engine = createEngine({
    getEnveloped: yoga.getEnveloped,
    contextFor,
    toClientError,
    schemaState: liveSchema,
    cursors: sources.log.cursors,
  })
  const admit = createAdmission({ authenticator: auth, toClientError, addresses, observe })
  let stopping = false
  const router = createRouter({
    basePath: prefix,
    isBasePathOptional: settings.urlBase !== undefined,
    origins,
    admit,
    page: createPage({ basePath: prefix }),
    graphqlHttp: createGraphqlHttp({
      admit,
      engine,
      streams: createStreamResponses({
        ...settings,
        connections,
        cursors: sources.log.cursors,
        toClientError,
      }),
      toClientError,
      graphiql: graphiql ? createGraphiql() : undefined,
      addresses,
      memory,
      maxMessage: settings.maxMessage,
      stallTimeout: settings.stallTimeout,
    }),
    acceptGraphqlWs: createGraphqlWs({
      admit,
      engine,
      connections,
      cursors: sources.log.cursors,
      memory,
      toClientError,
      keepAlive: settings.keepAlive,
      limits: settings,
      observe,
    }),
    listen: createListen({
      ...settings,
      ...{ rules: auth.rules, channelSource: channels.source, connections, memory },
    }),
    health: createHealth({
      notifications: () => (channels.ready ? 'yes' : channels.isDeaf ? 'deaf' : 'no'),
      needsNotifications,
      log: () => sources.log.state,
      stall: () => sources.log.stall,
      showsDetails: !auth.isConfigured,
      isStopping: () => stopping,
    }),
    maxMessage: settings.maxMessage,
    maxUrl: settings.maxUrl,
    addresses,
    addressLimits,
    toClientError,
    observe,
  })

  const servers: Server[] = []
  const prepare = (server: Server) => {
    addressLimits.watch(server)
    server.on('upgrade', (request, socket, head) => {
      if (request.headers.upgrade?.toLowerCase() === 'websocket') router.onUpgrade(request, socket, head)
      else ignoreUpgrade(server, request, socket, head)
    })
  }
  let closed: Promise<void> | undefined
  async function close(): Promise<void> {
    stopping = true
    const httpClosed = servers.map(server => new Promise(resolve => server.close(resolve)))
    connections.endAll()
    const authClosed = auth.close() // who waits to be let in waits no longer
    for (const server of servers) server.closeIdleConnections()
    // Goodbyes are on their way; whoever does not take them within a part of the deadline is dropped.
    const timer = setTimeout(() => {
      for (const server of servers) server.closeAllConnections()
    }, settings.shutdownTimeout / 4)
    await Promise.all(httpClosed)
    clearTimeout(timer)
    backpressure.close()
    await Promise.all([sources.close(), authClosed])
    await pool.close()
    await database.embedded?.close()
  }

  try {
    const { host } = settings
    const http = await bind({ host, port: settings.port, limits: settings }, prepare, router.onRequest)
    servers.push(...http.servers)
    let httpsPort: number | undefined
    if (settings.tlsCert && settings.tlsKey) {
      const tls = { cert: readPem(settings.tlsCert), key: readPem(settings.tlsKey) }
      const https = await bind(
        { host, port: settings.httpsPort, tls, limits: settings },
        prepare,
        router.onRequest,
      )
      servers.push(...https.servers)
      httpsPort = https.port
    }
    auth.start()
    sources.start()
    if (settings.exitOnError) {
      const reached = Promise.all([contact.made, liveSchema.known])
      await abortable(Promise.race([contact.failed, reached]), signal)
      contact.assertReached(describeConnection(database.config))
      const problem = await abortable(auth.anonymousProblem, signal)
      if (problem) throw new ListenqlError('DATABASE_FAILED', `--anonymous-role: ${problem.message}`, problem)
    }
    hasStarted = true
    // Who comes back first finds all tables, unless the database is away.
    const patience = delay(START_PATIENCE_MS, undefined, { ref: false, signal })
    await Promise.race([liveSchema.known, contact.failed, patience])
    const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
    return {
      url: publicUrl(settings.urlBase, prefix) ?? `http://${name}:${http.port}${prefix}`,
      port: http.port,
      httpsUrl: httpsPort === undefined ? undefined : `https://${name}:${httpsPort}${prefix}`,
      database: describeConnection(database.config),
      embedded: database.embedded,
      close: () => {
        closed ??= close()
        return closed
      },
    }
  } catch (error) {
    await close()
    throw signal?.aborted ? signal.reason : error
  }
}

/** `--url-base` may have the base path at its end already. */
function publicUrl(urlBase: string | undefined, prefix: string): string | undefined {
  const base = urlBase?.replace(/\/+$/, '')
  return base === undefined || base.endsWith(prefix) ? base : `${base}${prefix}`
}

async function openDatabase(
  settings: Settings,
  logger: Logger,
  signal: AbortSignal | undefined,
): Promise<{ config: pg.ClientConfig; embedded: EmbeddedPostgres | undefined }> {
  const database = databaseOf(settings)
  if (database.kind === 'url') return { config: connectionOptions(database.url), embedded: undefined }
  if (database.kind === 'environment') return { config: connectionOptions(undefined), embedded: undefined }
  const embedded = await startEmbeddedPostgres({
    ...(database.directory === undefined ? {} : { directory: database.directory }),
    onProgress: message => logger.info(message),
    ...(signal && { signal }),
  })
  if (embedded.takenOver) logger.info('Took over the Postgres that a killed server had left running.')
  return { config: connectionOptions(embedded.serverUrl), embedded }
}

/** A Postgres of its own does not go on running when the server does not start. */
async function orClose<T>(embedded: EmbeddedPostgres | undefined, make: () => T): Promise<T> {
  try {
    return make()
  } catch (error) {
    await embedded?.close()
    throw error
  }
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `cannot read the TLS file ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
