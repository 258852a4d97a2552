import type { Socket } from 'node:net'
import type pg from 'pg'

/** The present socket of a client: TLS replaces it. pg has no public access to it, and only a socket can be paused or dropped. */
export function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream
}
