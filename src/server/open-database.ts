import type pg from 'pg'
import { databaseOf, type Settings } from '../config/index.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded/index.js'
import { connectionOptions } from '../postgres/conninfo.js'
import type { Logger } from '../telemetry/logger.js'

/** The database of a server. */
export interface ServerDatabase {
  readonly config: pg.ClientConfig
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
