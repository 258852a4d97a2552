import type { Socket } from 'node:net'
import type pg from 'pg'

/** The socket of a client as it is now: TLS replaces it. pg has no public handle on it, and only a socket can be paused or dropped. */
export function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream
}
