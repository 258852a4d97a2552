import pg from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { socketOf } from './socket.js'

/** Payloads of NOTIFY must be shorter than 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html). */
const MAX_PAYLOAD_BYTES = 7999

/** How long queries may take that are under way when the pool is closed, in ms. */
const CLOSE_PATIENCE = 1000

/** A few connections for everything but LISTEN. Opened when first needed. */
export interface Pool {
  /** @throws ListenqlError PAYLOAD_TOO_LARGE, DATABASE_FAILED */
  notify(channel: string, payload: string): Promise<void>
  /** Waits a moment for queries that are under way. Idempotent. */
  close(): Promise<void>
}

/** @param max most connections; with one, notifications leave in the order of the calls */
export function createPool(config: pg.ClientConfig, connectTimeout: number, max = 4): Pool {
  const clients = new Set<pg.Client>()
  /** Known from the start, also while it connects. */
  class Client extends pg.Client {
    constructor(options?: pg.ClientConfig) {
      super(options)
      clients.add(this)
      this.once('end', () => clients.delete(this))
    }
  }
  const pool = new pg.Pool({
    ...config,
    Client,
    application_name: 'listenql',
    connectionTimeoutMillis: connectTimeout,
    max,
    allowExitOnIdle: true,
  })
  pool.on('error', () => undefined) // an idle connection was lost; the next query opens another
  async function end(): Promise<void> {
    // A database that went silent never answers, and the pool would wait for it.
    const timer = setTimeout(() => {
      for (const client of clients) socketOf(client).destroy()
    }, CLOSE_PATIENCE)
    await pool.end()
    clearTimeout(timer)
  }
  let closed: Promise<void> | undefined
  return {
    async notify(channel, payload) {
      const bytes = Buffer.byteLength(payload)
      if (bytes > MAX_PAYLOAD_BYTES) {
        throw new ListenqlError(
          'PAYLOAD_TOO_LARGE',
          `a payload may have ${MAX_PAYLOAD_BYTES} bytes at most, this one has ${bytes}`,
        )
      }
      if (payload.includes('\0'))
        throw new ListenqlError('PAYLOAD_INVALID', 'a payload may not hold a NUL character')
      try {
        await pool.query('select pg_notify($1, $2)', [channel, payload])
      } catch (error) {
        throw new ListenqlError('DATABASE_FAILED', 'the database did not take the notification', {
          hint: 'try again; the log of the server has the reason',
          cause: messageOf(error),
        })
      }
    },
    close() {
      closed ??= end()
      return closed
    },
  }
}
