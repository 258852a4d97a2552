import pg from 'pg'
import { socketOf } from '../postgres/socket.js'
import { liftTimeLimits } from '../postgres/time-limits.js'
import type { Query } from './log-troubles.js'

/** Timeout of a query of the log, in ms. Without it a peer that has died silently would go unnoticed. */
export const QUERY_TIMEOUT_MS = 30_000

/** The connection that reads the live log. */
export interface LogConnection {
  readonly client: pg.Client
  /** Runs SQL in a transaction of its own. */
  readonly query: Query
  /** Whether the database has a log that the server's login may read. */
  isReadable(): Promise<boolean>
  /** @throws the error that ended the connection, if it is lost */
  assertAlive(): void
  /** Closes the socket without waiting: the answer to a pending query may never arrive. */
  destroy(): void
}

export interface LogConnectionOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for the connection, in ms. */
  readonly connectTimeout: number
  /** Called when the connection is lost. */
  readonly onLost: () => void
  /** Destroys the connection. */
  readonly signal: AbortSignal
}

/** @throws the error of connecting, or the reason of the signal */
export async function openLogConnection(options: LogConnectionOptions): Promise<LogConnection> {
  const { config, connectTimeout, onLost, signal } = options
  const client = new pg.Client({
    ...config,
    application_name: 'listenql log',
    connectionTimeoutMillis: connectTimeout,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
  })
  const destroy = () => {
    signal.removeEventListener('abort', destroy)
    socketOf(client).destroy()
  }
  let lost: Error | undefined
  client.on('error', error => {
    lost ??= error
    onLost()
  })
  signal.throwIfAborted()
  signal.addEventListener('abort', destroy, { once: true })
  try {
    await client.connect()
    await liftTimeLimits(client, connectTimeout)
  } catch (error) {
    destroy()
    throw error
  }
  const query: Query = async (text, values = []) =>
    (await client.query<Record<string, unknown>>({ text, values: [...values] })).rows

  return {
    client,
    query,
    async isReadable() {
      const [row] = await query(IS_READABLE)
      return row?.readable === true
    },
    assertAlive() {
      if (lost) throw lost
    },
    destroy,
  }
}

const IS_READABLE = `
select count(distinct p.proname) filter (where p.proname <> 'cursor_key') = 3
    and coalesce(bool_and(has_function_privilege(p.oid, 'execute') and has_schema_privilege(n.oid, 'usage')), false) as readable
  from pg_namespace n join pg_proc p on p.pronamespace = n.oid
 where n.nspname = 'listenql' and p.proname in ('pull', 'read', 'newest', 'cursor_key')`
