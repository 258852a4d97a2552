import type pg from 'pg'
import { databaseOf, type Settings } from '../config/index.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded/index.js'
import { connectionOptions } from '../postgres/conninfo.js'
import type { Logger } from '../telemetry/logger.js'

/** The database of a server. */
export interface ServerDatabase {
  readonly config: pg.ClientConfig
  /**
   * The login that watches the tables of `--tables`: with the embedded Postgres the superuser, which owns the tables, and the server's
   * login gets SELECT on them.
   */
  readonly watcher: { readonly config: pg.ClientConfig; readonly grantTo: string | undefined }
  /** Set if the server runs the embedded Postgres. */
  readonly embedded: EmbeddedPostgres | undefined
}

/**
 * Finds the database that the settings name; if they name none, starts the embedded Postgres.
 * @param signal aborts the start
 * @throws ListenqlError BAD_CONFIGURATION, EMBEDDED_POSTGRES_FAILED
 */
export async function openDatabase(
  settings: Settings,
  logger: Logger,
  signal: AbortSignal | undefined,
): Promise<ServerDatabase> {
  const database = databaseOf(settings)
  if (database.kind !== 'embedded') {
    const config = connectionOptions(database.kind === 'url' ? database.url : undefined)
    return { config, watcher: { config, grantTo: undefined }, embedded: undefined }
  }
  const embedded = await startEmbeddedPostgres({
    ...(database.directory === undefined ? {} : { directory: database.directory }),
    onProgress: message => logger.info(message),
    ...(signal && { signal }),
  })
  if (embedded.takenOver) logger.info('Took over the Postgres that a killed server had left running.')
  const config = connectionOptions(embedded.serverUrl)
  const watcher = { config: connectionOptions(embedded.adminUrl), grantTo: config.user }
  return { config, watcher, embedded }
}
