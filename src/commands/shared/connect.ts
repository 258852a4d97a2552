import pg from 'pg'
import { findEmbeddedPostgres } from '../../embedded/index.js'
import { ListenqlError } from '../../lib/errors.js'
import { describeFailure } from '../../postgres/connect-failure.js'
import { connectionOptions, describeConnection } from '../../postgres/conninfo.js'
import { ask } from '../../postgres/lock-retry.js'
import { RELAX_SESSION } from '../../postgres/text-encoding.js'
import { liftTimeLimits } from '../../postgres/time-limits.js'
import { cancellable } from './cancel-query.js'
import type { DatabaseArguments } from './database-arguments.js'

/** The database of a command. */
export interface Database {
  readonly config: pg.ClientConfig
  /** The server's connection. */
  readonly serverConfig: pg.ClientConfig
  /** The server's login, if it differs from that of the commands: with the embedded Postgres. */
  readonly serverLogin: string | undefined
}

/**
 * The database that the arguments choose. For the embedded Postgres, the connection is that of the superuser.
 * @throws ListenqlError BAD_CONFIGURATION; DATABASE_FAILED if the embedded Postgres does not run
 */
export async function findDatabase({ databaseUrl, dataDirectory }: DatabaseArguments): Promise<Database> {
  if (databaseUrl !== undefined) {
    const config = connectionOptions(databaseUrl)
    return { config, serverConfig: config, serverLogin: undefined }
  }
  const embedded = await findEmbeddedPostgres(dataDirectory === undefined ? {} : { directory: dataDirectory })
  if (!embedded) {
    throw new ListenqlError(
      'DATABASE_FAILED',
      'no database to talk to: no embedded Postgres is running here',
      {
        hint: 'start one with `npx listenql` (or `npm start`) in this folder, or set DATABASE_URL',
      },
    )
  }
  const serverConfig = connectionOptions(embedded.serverUrl, {})
  return { config: connectionOptions(embedded.adminUrl, {}), serverConfig, serverLogin: serverConfig.user }
}

/**
 * Runs a task on a connection of its own, and closes it. A signal that ends the process also cancels the statement that runs.
 * @param name of the command, for application_name
 * @throws ListenqlError DATABASE_FAILED if it cannot connect; any error of the task
 */
export async function withClient<T>(
  config: pg.ClientConfig,
  name: string,
  task: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionTimeoutMillis: 10_000,
    ...config,
    application_name: `listenql ${name}`,
  })
  client.on('error', () => undefined) // a lost connection fails the query, too, and that is reported
  try {
    await client.connect()
  } catch (error) {
    const { message, hint } = describeFailure(error, config)
    throw new ListenqlError(
      'DATABASE_FAILED',
      `cannot connect as ${describeConnection(config)}: ${message}`,
      { hint: hint ?? 'is Postgres running there, and are login and password correct?', cause: error },
    )
  }
  try {
    return await cancellable(client, config, async () => {
      await liftTimeLimits(client) // a command may wait between two statements
      await client.query(RELAX_SESSION) // one name that is not UTF8 must not make the others unreadable
      return task(client)
    })
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** @throws ListenqlError DATABASE_FAILED on a standby, where nothing can be watched */
export async function refuseStandby(client: pg.Client): Promise<void> {
  const rows = await ask<{ standby: boolean }>(client, 'select pg_is_in_recovery() as standby')
  if (!rows[0]?.standby) return
  throw new ListenqlError('DATABASE_FAILED', 'this Postgres is a standby: it cannot be written to', {
    hint: 'connect to the primary',
  })
}
