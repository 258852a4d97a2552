import type pg from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { createClosablePool } from './closable-pool.js'
import type { ProofSender } from './delivery-proof.js'
import { hasSqlState, SQL_STATE } from './sql-state.js'

/** Payloads of NOTIFY must be shorter than 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html). */
const MAX_PAYLOAD_BYTES = 7999

/** A few connections for everything but LISTEN, opened when first needed. */
export interface Pool {
  /** @throws ListenqlError PAYLOAD_TOO_LARGE, DATABASE_FAILED */
  notify(channel: string, payload: string): Promise<void>
  /** Publishes a durable event. @throws the error of connecting or of Postgres, also after `timeout` ms */
  publish(channel: string, payload: string, timeout: number): Promise<void>
  /** Runs a query that returns numbers, `float8` or smaller. @throws the error of connecting or of Postgres, also after `timeout` ms */
  ask(text: string, timeout: number, values?: readonly unknown[]): Promise<Record<string, number | null>[]>
  /** A connection for the proof that the LISTEN connection delivers. */
  lend(): Promise<ProofSender>
  /** Waits a moment for running queries. Idempotent. */
  close(): Promise<void>
}

export interface PoolOptions {
  /** Most connections; with one, notifications are sent in the order of the calls. Default: 4. */
  readonly max?: number
  /** For how long an idle connection stays open, in ms: longer than a heartbeat, which borrows one. Default: 30 s. */
  readonly idleTimeout?: number
}

/** @param connectTimeout longest wait for a connection, in ms */
export function createPool(
  config: pg.ClientConfig,
  connectTimeout: number,
  { max = 4, idleTimeout = 30_000 }: PoolOptions = {},
): Pool {
  const { pool, close } = createClosablePool({
    ...config,
    application_name: 'listenql',
    connectionTimeoutMillis: connectTimeout,
    idleTimeoutMillis: idleTimeout,
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
        if (hasSqlState(error, SQL_STATE.untranslatableCharacter)) {
          throw new ListenqlError(
            'PAYLOAD_INVALID',
            'the encoding of the database lacks a character of this channel or payload',
            { cause: error },
          )
        }
        throw new ListenqlError('DATABASE_FAILED', 'the database did not accept the notification', {
          hint: 'try again; the log of the server has the reason',
          cause: messageOf(error),
        })
      }
    },
    async publish(channel, payload, timeout) {
      const text = 'select listenql.publish($1::text, $2::text)'
      // pg accepts a timeout for a single query; its types do not show it.
      const query = { text, values: [channel, payload], query_timeout: timeout }
      await pool.query(query)
    },
    async ask(text, timeout, values = []) {
      // pg accepts a timeout for a single query; its types do not show it.
      const query = { text, values: [...values], query_timeout: timeout }
      return (await pool.query<Record<string, number | null>>(query)).rows
    },
    async lend() {
      const client = await pool.connect()
      let answered: Promise<unknown> = Promise.resolve()
      return {
        async notify(channel, payload) {
          // pg accepts a timeout for a single query; its types do not show it.
          const query = { text: `notify ${channel}, '${payload}'`, query_timeout: connectTimeout }
          answered = client.query(query)
          await answered
        },
        release() {
          // The notification may arrive before the answer to its statement.
          answered.then(
            () => client.release(),
            () => client.release(true),
          )
        },
      }
    },
    close,
  }
}
