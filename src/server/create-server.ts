import { setTimeout as delay } from 'node:timers/promises'
import type { Authenticate } from '../auth/authenticated.js'
import { resolveSettings, type Settings } from '../config/index.js'
import type { EmbeddedPostgres } from '../embedded/index.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { describeConnection } from '../postgres/conninfo.js'
import { createLogObserver } from '../telemetry/log-observations.js'
import { createLogger, type Logger } from '../telemetry/logger.js'
import { compose, type Parts } from './compose.js'
import { createFirstContact, isReasonToExit } from './first-contact.js'
import { openDatabase } from './open-database.js'

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
  /** Gets every observation of the core, in addition to the log. */
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
  /** Description of the database, without password. */
  readonly database: string
  /** Set if the server runs the embedded Postgres. */
  readonly embedded: EmbeddedPostgres | undefined
  /**
   * Ends streams with the goodbye of their protocols, closes the database connections, and stops the embedded Postgres.
   * Idempotent.
   */
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
  let parts: Parts | undefined
  let closed: Promise<void> | undefined
  function close(): Promise<void> {
    closed ??= (async () => {
      await parts?.close()
      await database.embedded?.close()
    })()
    return closed
  }

  try {
    parts = compose({ settings, database, authenticate, contact, observe })
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
    // The first request finds the server ready, and every table. The server does not wait longer: the database may be down.
    const patience = delay(START_PATIENCE_MS, undefined, { ref: false, signal })
    await Promise.race([reached, contact.failed, patience])
    return {
      ...addresses,
      database: describeConnection(database.config),
      embedded: database.embedded,
      close,
    }
  } catch (error) {
    await close()
    throw signal?.aborted ? signal.reason : error
  }
}
