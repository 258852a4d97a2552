export interface HealthOptions {
  /** Whether notifications arrive. `no`: the database is down; `deaf`: it answers, but they do not arrive. */
  readonly notifications: () => 'yes' | 'no' | 'deaf'
  /** False: the server needs no notifications, so it is ready if it can read the event log. */
  readonly needsNotifications: boolean
  readonly log: () => 'away' | 'absent' | 'followed' | 'stalled'
  /** Where reading the log is stuck, and why; shown if `showsDetails`. */
  readonly stall?: () => { readonly place: string; readonly reason: string } | undefined
  /** Whether every client may see details of the database. */
  readonly showsDetails?: boolean
  readonly isStopping: () => boolean
}

/**
 * `/healthz` is 200 while the process answers. `/readyz` is 200 while it can also do its work, and 503 while it cannot, or the
 * server is stopping: a load balancer then sends new clients elsewhere, and connected ones stay.
 */
export function createHealth(
  options: HealthOptions,
): (path: string) => { status: number; body: unknown } | undefined {
  return path => {
    if (path === '/healthz') return { status: 200, body: { status: 'ok' } }
    if (path !== '/readyz') return undefined
    const notifications = options.notifications()
    const isConnected = options.needsNotifications ? notifications !== 'no' : options.log() !== 'away'
    const isStalled = options.log() === 'stalled'
    const stall = options.showsDetails ? options.stall?.() : undefined
    const isDeaf = options.needsNotifications && notifications === 'deaf'
    const isStopping = options.isStopping()
    const isReady = isConnected && !isDeaf && !isStalled && !isStopping
    return {
      status: isReady ? 200 : 503,
      body: {
        status: isStopping ? 'stopping' : isReady ? 'ready' : 'not ready',
        database: isConnected ? 'connected' : 'unreachable',
        ...(isDeaf && { notifications: 'not delivered' }),
        ...(isStalled && { log: 'stalled', ...stall }),
      },
    }
  }
}
