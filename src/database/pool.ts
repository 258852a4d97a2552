import pg from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { createClosablePool } from './closable-pool.js'

/** Payloads of NOTIFY must be shorter than 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html). */
const MAX_PAYLOAD_BYTES = 7999

/** A few connections for everything but LISTEN. Opened when first needed. */
export interface Pool {
  /** @throws ListenqlError PAYLOAD_TOO_LARGE, DATABASE_FAILED */
  notify(channel: string, payload: string): Promise<void>
  /** Waits a moment for queries that are under way. Idempotent. */
  close(): Promise<void>
}

/** @param max most connections; with one, notifications leave in the order of the calls */
export function createPool(config: pg.ClientConfig, connectTimeout: number, max = 4): Pool {
  const { pool, close } = createClosablePool({
    ...config,
    application_name: 'listenql',
    connectionTimeoutMillis: connectTimeout,
    max,
  })
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
        await pool.query('select pg_catalog.pg_notify($1, $2)', [channel, payload])
      } catch (error) {
        if (error instanceof pg.DatabaseError && error.code === '22P05') {
          throw new ListenqlError(
            'PAYLOAD_INVALID',
            'the encoding of the database lacks a character of this channel or payload',
            { cause: error },
          )
        }
        throw new ListenqlError('DATABASE_FAILED', 'the database did not take the notification', {
          hint: 'try again; the log of the server has the reason',
          cause: messageOf(error),
        })
      }
    },
    close,
  }
}
