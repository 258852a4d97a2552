import { setTimeout as delay } from 'node:timers/promises'
import type { Authenticate } from '../auth/authenticated.js'
import { resolveSettings, type Settings } from '../config/index.js'
import type { EmbeddedPostgres } from '../embedded/index.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observation, Observe } from '../lib/observation.js'
import type { Stop } from '../lib/stop.js'
import { loadTracing } from '../lib/telemetry/tracing.js'
import { describeConnection } from '../postgres/conninfo.js'
import { createAuditLog } from '../telemetry/audit/audit-log.js'
import { createLogObserver } from '../telemetry/log-observations.js'
import { createLogger, type Logger } from '../telemetry/logger.js'
import { createMetrics } from '../telemetry/metrics/metrics.js'
import { createMetricsObserver } from '../telemetry/metrics/observed-metrics.js'
import { version } from '../telemetry/version.js'
import { compose, type Parts } from './compose.js'
import { createFirstContact, isReasonToExit } from './first-contact.js'
import { openDatabase } from './open-database.js'
import type { Reloaded } from './reload/reload.js'
import { createReloading, readFileStates } from './reload/reloading.js'
import type { ServerStatus } from './server-status.js'

/** Longest that a starting server waits for the database before `createServer` resolves, in ms. */
const START_PATIENCE_MS = 2000

/**
 * Every option of docs/configuration.md under its camelCase name (durations in ms, sizes in bytes), and options that only code
 * can set.
 */
export interface ServerOptions extends Partial<Settings> {
  /**
   * Finds the viewer of a request instead of tokens, for applications with sessions of their own. Viewers have roles then, and
   * a viewer may do only what its role allows.
   */
  readonly authenticate?: Authenticate
  /** Gets every observation of the core, in addition to the log. If it throws, the log says so, and the server goes on. */
  readonly observe?: Observe
  /** Used for the log instead of stderr. */
  readonly logger?: Logger
  /** Aborts the start; `createServer` rejects with its reason. A server that has started is ended by `close`. */
  readonly signal?: AbortSignal
}

/** A server that accepts clients. `/readyz` shows whether the database is connected. */
export interface ListenqlServer {
  /** The server's URL, without a trailing slash, such as `http://localhost:7700`. */
  readonly url: string
  /** The port that HTTP and WebSockets are served on, also where `port: 0` let the system choose. */
  readonly port: number
  /** Set if HTTPS is served. */
  readonly httpsUrl: string | undefined
  /** The URL below which `/metrics` and `/status` are, without a trailing slash. Undefined: they are not served. */
  readonly metricsUrl: string | undefined
  /** Description of the database, without password. */
  readonly database: string
  /** Set if the server runs the embedded Postgres. */
  readonly embedded: EmbeddedPostgres | undefined
  /** Opens the file of `auditLog` anew, after it was renamed. */
  reopenAuditLog(): void
  /**
   * Puts other settings into force without a restart: all that can be, or none if there is an error. It also reads the files of
   * certificates, keys and trusted documents again.
   * @param options every option, as for `createServer`: those that are not given get their defaults. Those that only code can set stay
   * as they were.
   * @throws ListenqlError BAD_CONFIGURATION; the former settings stay in force
   */
  reload(options: ServerOptions): Reloaded
  /** What the server does at the moment, for a process manager. */
  status(): ServerStatus
  /**
   * Ends streams with the goodbye of their protocols, spread over the time of the option `drain`; then closes the database connections,
   * and stops the embedded Postgres. Idempotent.
   */
  close(): Promise<void>
}

/**
 * Starts the whole server: database, schema, transports.
 * @throws ListenqlError BAD_CONFIGURATION, PORT_IN_USE, EMBEDDED_POSTGRES_FAILED
 */
export async function createServer(options: ServerOptions = {}): Promise<ListenqlServer> {
  const { observe: observer, logger: givenLogger, authenticate, signal } = options
  // A copy that reloads change: the parts share it.
  const settings: Settings = { ...resolveSettings(settingsIn(options)) }
  const logger = givenLogger ?? createLogger({ level: settings.logLevel, format: settings.logFormat })
  const logObserver = createLogObserver(logger)
  const contact = createFirstContact()
  const audit =
    settings.auditLog === undefined ? undefined : createAuditLog(settings.auditLog, o => observe(o))
  let hasStarted = false
  const metrics = createMetrics()
  const observeMetrics = createMetricsObserver(metrics)
  function tellObserver(observation: Observation): void {
    try {
      observer?.(observation)
    } catch (error) {
      // It must not stop what is observed half-way, such as the end of all subscriptions of a channel.
      logObserver({ type: 'fault', id: 'observe', message: 'the function observe has failed', error })
    }
  }
  const observe: Observe = observation => {
    contact.observe(observation)
    observeMetrics(observation)
    if (!settings.exitOnError || hasStarted || !isReasonToExit(observation)) logObserver(observation)
    audit?.observe(observation)
    tellObserver(observation)
  }

  await loadTracing(version())
  const database = await openDatabase(settings, logger, signal)
  let parts: Parts | undefined
  let closed: Promise<void> | undefined
  let stopWatching: Stop = () => undefined
  function close(drain: number): Promise<void> {
    closed ??= (async () => {
      stopWatching()
      await parts?.close(drain)
      await database.embedded?.close()
      await audit?.close()
    })()
    return closed
  }

  // Before the parts read them, so that a change during the start is noticed.
  const files = readFileStates(settings)
  try {
    parts = compose({ settings, database, authenticate, contact, metrics, observe })
    const { auth, sources, liveSchema, http } = parts
    const addresses = await http.listen()
    auth.start()
    sources.start()
    const reached = Promise.all([contact.made, liveSchema.known])
    if (settings.exitOnError) {
      await abortable(Promise.race([contact.failed, reached]), signal)
      contact.assertReached(describeConnection(database.config))
      const problem = await abortable(auth.anonymousProblem, signal)
      if (problem) throw new ListenqlError('DATABASE_FAILED', `--anonymous-role: ${problem.message}`, problem)
    }
    hasStarted = true
    const reloading = createReloading({ settings, files, reload: parts.reload, observe })
    stopWatching = reloading.stop
    // The first request finds the server ready, and every table. The server does not wait longer: the database may be down.
    const patience = delay(START_PATIENCE_MS, undefined, { ref: false, signal })
    await Promise.race([reached, contact.failed, patience])
    return {
      ...addresses,
      database: describeConnection(database.config),
      embedded: database.embedded,
      reopenAuditLog: () => audit?.reopen(),
      reload: given => reloading.reload(settingsIn(given)),
      status: parts.status,
      close: () => close(settings.drain),
    }
  } catch (error) {
    await close(0)
    throw signal?.aborted ? signal.reason : error
  }
}

/** The options that are settings: the others can only be set by code. */
function settingsIn({
  observe,
  logger,
  authenticate,
  signal,
  ...settings
}: ServerOptions): Partial<Settings> {
  return settings
}
