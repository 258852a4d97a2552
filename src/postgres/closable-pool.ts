import pg from 'pg'
import { socketOf } from './socket.js'
import { liftTimeLimits } from './time-limits.js'

/** How long running queries may take after the pool is closed, in ms. */
const CLOSE_TIMEOUT_MS = 1000

/** A pool that can be closed whether or not the database answers. */
export interface ClosablePool {
  readonly pool: pg.Pool
  /** Waits a moment for connections that are in use, then drops them. Idempotent. */
  close(): Promise<void>
}

export function createClosablePool(config: pg.PoolConfig): ClosablePool {
  const clients = new Set<pg.Client>()
  /** Registers each client at once, even while it connects. */
  class Client extends pg.Client {
    constructor(options?: pg.ClientConfig) {
      super(options)
      clients.add(this)
      this.once('end', () => clients.delete(this))
      // pg-pool handles errors of idle connections only; for one in use, the running query rejects with the same error.
      this.on('error', () => undefined)
    }
  }
  const pool = new pg.Pool({
    ...config,
    Client,
    allowExitOnIdle: true,
    onConnect: client => liftTimeLimits(client as pg.Client, config.connectionTimeoutMillis),
  })
  pool.on('error', () => undefined) // an idle connection was lost; the next query opens another
  async function end(): Promise<void> {
    const timer = setTimeout(() => {
      for (const client of clients) socketOf(client).destroy()
    }, CLOSE_TIMEOUT_MS)
    const ended = pool.end()
    refuseWaiting(pool)
    await ended
    clearTimeout(timer)
  }
  let closed: Promise<void> | undefined
  return {
    pool,
    close() {
      closed ??= end()
      return closed
    },
  }
}

/**
 * Fails the requests that wait for a connection: `pool.end()` forgets them, and whatever awaits one would wait for ever.
 * pg-pool keeps them in a list that its types do not show.
 */
function refuseWaiting(pool: pg.Pool): void {
  const { _pendingQueue: waiting } = pool as unknown as {
    _pendingQueue: { callback(error: Error, client: undefined, release: () => void): void }[]
  }
  const error = new Error('the connection pool is closed')
  for (const { callback } of waiting.splice(0)) callback(error, undefined, () => undefined)
}
