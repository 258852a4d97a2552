import type pg from 'pg'
import { socketOf } from './socket.js'

/** The process id that Postgres reported to a client when it connected. Behind a pooler, another process runs the statements. */
export function backendPid(client: pg.Client): number | undefined {
  // pg keeps it for cancel requests; its types do not show it.
  return (client as unknown as { processID?: number }).processID
}

/**
 * Statement that removes the time limits that database or login set for a session. It selects from the catalogue, since Postgres
 * refuses a setting that its version does not have: idle_session_timeout came with 14, transaction_timeout with 17.
 * @param pid see `backendPid`. If another process runs the statement, a pooler will reuse the session: then nothing is set
 */
export function liftTimeLimitsSql(pid: number | undefined): string {
  return `select pg_catalog.set_config(s.name, '0', false) from pg_catalog.pg_settings s
    where s.name operator(pg_catalog.=) any (array['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
        'idle_session_timeout', 'transaction_timeout']::pg_catalog.text[])
      and pg_catalog.pg_backend_pid() operator(pg_catalog.=) ${pid ?? 0}`
}

/**
 * Removes the time limits of a client that has just connected; if that fails, the client is dropped.
 * @param timeout longest wait for the answer, in ms. Default: 10 s
 */
export async function liftTimeLimits(client: pg.Client, timeout = 10_000): Promise<void> {
  try {
    // pg accepts a timeout for a single query; its types do not show it.
    const query = { text: liftTimeLimitsSql(backendPid(client)), query_timeout: timeout }
    await client.query(query)
  } catch (error) {
    socketOf(client).destroy() // `end` would wait for a peer that may be gone
    throw error
  }
}
