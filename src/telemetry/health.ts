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
  /** What the server does: `draining`: it serves its clients, and ends them one after the other. */
  readonly phase: () => 'serving' | 'draining' | 'stopping'
}

/** The parts without which the server is not ready. */
export type HealthPart = 'database' | 'notifications' | 'log' | 'server'

export interface Problem {
  readonly part: HealthPart
  readonly reason: string
}

/** What `/readyz` says. */
export interface Readiness {
  readonly status: 'ready' | 'not ready' | 'draining' | 'stopping'
  readonly database: 'connected' | 'unreachable'
  readonly notifications?: 'not delivered'
  readonly log?: 'stalled'
  /** What is not ready. Missing: the server is ready. */
  readonly notReady?: readonly Problem[]
}

export interface HealthAnswer {
  /** The status of HTTP. */
  readonly status: number
  readonly body: unknown
}

export interface Health {
  readiness(): Readiness
  /** Which parts do not work, and why. Empty: the server is ready. */
  problems(): readonly Problem[]
  /** The answer to `/healthz` or `/readyz`. Undefined: the path is another one. */
  answer(path: string): HealthAnswer | undefined
}

/**
 * `/healthz` is 200 while the process answers. `/readyz` is 200 while it can also do its work, and 503 while it cannot, or the
 * server is draining or stopping: a load balancer then sends new clients elsewhere, and connected ones stay.
 */
export function createHealth(options: HealthOptions): Health {
  const { needsNotifications, phase } = options

  function isConnected(): boolean {
    return needsNotifications ? options.notifications() !== 'no' : options.log() !== 'away'
  }

  function problems(): readonly Problem[] {
    const all: Problem[] = []
    if (phase() !== 'serving') all.push({ part: 'server', reason: `it is ${phase()}` })
    if (!isConnected()) all.push({ part: 'database', reason: 'it cannot be reached, or refuses the server' })
    if (needsNotifications && options.notifications() === 'deaf')
      all.push({ part: 'notifications', reason: 'they do not arrive: there may be a pooler in between' })
    if (options.log() === 'stalled')
      all.push({ part: 'log', reason: 'the event log cannot be read beyond one place' })
    return all
  }

  function readiness(): Readiness {
    const notReady = problems()
    const has = (part: HealthPart) => notReady.some(one => one.part === part)
    const present = phase()
    return {
      status: present !== 'serving' ? present : notReady.length === 0 ? 'ready' : 'not ready',
      database: isConnected() ? 'connected' : 'unreachable',
      ...(has('notifications') && { notifications: 'not delivered' as const }),
      ...(has('log') && { log: 'stalled' as const, ...(options.showsDetails && options.stall?.()) }),
      ...(notReady.length > 0 && { notReady }),
    }
  }

  return {
    readiness,
    problems,
    answer(path) {
      if (path === '/healthz') return { status: 200, body: { status: 'ok' } }
      if (path !== '/readyz') return undefined
      const body = readiness()
      return { status: body.status === 'ready' ? 200 : 503, body }
    },
  }
}
