import pg from 'pg'
import type { Query } from './queryable.js'
import { socketOf } from './socket.js'
import { liftTimeLimits } from './time-limits.js'

export interface ConnectionOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for the connection, in ms. */
  readonly connectTimeout: number
  /** Timeout of a query, in ms. Without it a peer that has died silently would go unnoticed. */
  readonly queryTimeout: number
  /** Called when the connection is lost. Default: nothing. */
  readonly onLost?: () => void
  /** Destroys the connection. */
  readonly signal: AbortSignal
}

/** A connection that a part of the server has for itself, without the time limits that database or login set. */
export interface Connection {
  readonly client: pg.Client
  readonly query: Query
  /** The error that ended the connection. Undefined: it is not known to be lost. */
  readonly lost: Error | undefined
  /** Closes the socket without waiting: the answer to a pending query may never arrive. */
  destroy(): void
  /** Closes the connection as the protocol requires, and destroys it if that takes longer than CLOSE_TIMEOUT_MS. */
  close(): Promise<void>
}

const CLOSE_TIMEOUT_MS = 1000

/** @throws the error of connecting, or the reason of the signal; nothing of the connection is left then */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { config, connectTimeout, queryTimeout, onLost, signal } = options
  const client = new pg.Client({
    ...config,
    connectionTimeoutMillis: connectTimeout,
    query_timeout: queryTimeout,
    keepAlive: true,
  })
  const destroy = () => {
    signal.removeEventListener('abort', destroy)
    socketOf(client).destroy()
  }
  let lost: Error | undefined
  client.on('error', error => {
    lost ??= error
    onLost?.()
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
  return {
    client,
    query: async (text, values = []) =>
      (await client.query<Record<string, unknown>>({ text, values: [...values] })).rows,
    get lost() {
      return lost
    },
    destroy,
    async close() {
      const timer = setTimeout(destroy, CLOSE_TIMEOUT_MS)
      await client.end().catch(() => undefined)
      clearTimeout(timer)
      signal.removeEventListener('abort', destroy)
    },
  }
}
