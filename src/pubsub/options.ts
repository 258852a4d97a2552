import type { ConnectionOptions } from 'node:tls'
import type { Observe } from '../lib/observation.js'
import type { Serializer } from './event-payload.js'

/** Values that a connection string cannot hold, or should not. */
export interface PostgresConnection {
  /** Host name, address, or directory of a Unix socket. Default: that of the connection string, else `PGHOST`, else localhost. */
  readonly host?: string
  /** Default: that of the connection string, else `PGPORT`, else 5432. */
  readonly port?: number
  /** Default: that of the connection string, else `PGUSER`, else the system user. */
  readonly user?: string
  /** A function is called for every connection, for passwords that expire. */
  readonly password?: string | (() => string | Promise<string>)
  /** Default: that of the connection string, else `PGDATABASE`, else the name of the user. */
  readonly database?: string
  /** Options of Node's TLS; true: encrypt and verify; false: do not encrypt. Default: the `sslmode` of the connection string. */
  readonly ssl?: boolean | ConnectionOptions
}

/** Options of `createPostgresEventTarget`. */
export interface PostgresEventTargetOptions {
  /** A URL or a libpq keyword string; default: the PG* environment variables. */
  readonly connectionString?: string | undefined
  /** Takes precedence over the connection string, key by key. */
  readonly connection?: PostgresConnection
  /** How an event's `detail` becomes a payload (7,999 bytes at most) and back; default JSON. */
  readonly serializer?: Serializer
  /**
   * Events that may wait for a listener that does not read before it is removed; default 20,000. Listeners of one topic share
   * the waiting events. A burst never removes a listener that reads: reading from Postgres pauses for it.
   */
  readonly maxWaiting?: number
  /**
   * Gets the errors that cannot be thrown at a caller: an event that was not sent (PAYLOAD_TOO_LARGE, PAYLOAD_INVALID,
   * CHANNEL_NAME_INVALID, DATABASE_FAILED), a payload that does not parse (PAYLOAD_INVALID), a listener that was removed
   * (SUBSCRIBER_TOO_SLOW), and errors that a listener throws. Default: a process warning.
   */
  readonly onError?: (error: Error) => void
  /** The LISTEN connection was lost and has been restored for these topics: events in between were missed. */
  readonly onGap?: (topics: readonly string[]) => void
  /** Takes the observations of the LISTEN connection, for a log. */
  readonly observe?: Observe
}
