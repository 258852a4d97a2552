/**
 * `/healthz` is 200 while the process answers. `/readyz` is 200 while it can also do its work, and 503 while the database
 * is away or the server stops: a load balancer then sends new clients elsewhere, and those connected stay.
 */
export function createHealth(state: {
  readonly isListening: () => boolean
  readonly isStopping: () => boolean
}): (path: string) => { status: number; body: unknown } | undefined {
  return path => {
    if (path === '/healthz') return { status: 200, body: { status: 'ok' } }
    if (path !== '/readyz') return undefined
    const database = state.isListening() ? 'connected' : 'unreachable'
    const ready = database === 'connected' && !state.isStopping()
    const status = state.isStopping() ? 'stopping' : ready ? 'ready' : 'not ready'
    return { status: ready ? 200 : 503, body: { status, database } }
  }
}
