import { abortable, delay } from '../lib/abort.js'
import { createDeferred } from '../lib/deferred.js'
import type { Observe } from '../lib/observation.js'
import { type ConnectionTarget, describeFailure } from '../postgres/connect-failure.js'
import type { ConfiguredRoles } from './configured-roles.js'
import type { DatabaseClock } from './database-clock.js'
import { forbiddenRole, sessionEnded, unavailable } from './errors.js'
import type { Kicks } from './kicks.js'
import type { Roles } from './roles.js'
import type { Sessions } from './sessions.js'
import type { KickAccess, ViewerQueries } from './viewer-queries.js'

export interface RevocationOptions {
  /** Names the database in messages. */
  readonly config: ConnectionTarget
  readonly queries: ViewerQueries
  readonly kicks: Kicks
  /** Set by every check. */
  readonly clock: DatabaseClock
  readonly roles: Roles
  readonly configuredRoles: Pick<ConfiguredRoles, 'look'>
  readonly sessions: Sessions
  /** Time between two checks, in ms; a notification saves the wait. */
  readonly interval: number
  /** How long kicks are remembered, in ms. */
  readonly retention: number
  readonly observe: Observe
}

/** Checks in the database which viewers were kicked and which roles may be used. */
export interface Revocation {
  /**
   * Resolves once the kicks are known. Rejects with ListenqlError AUTHENTICATION_UNAVAILABLE if the database does not answer
   * for long.
   */
  ready(): Promise<void>
  /** Resolves when the database answers again; rejects as `ready` does. */
  again(): Promise<void>
  /** There may be a new kick: checks at once. */
  wake(): void
  start(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Longest that a viewer waits for the database, in ms: an EventSource that is refused does not reconnect. */
const DATABASE_PATIENCE_MS = 30_000
/** Time between two removals of old kicks, in ms. */
const PRUNE_INTERVAL_MS = 3_600_000

export function createRevocation(options: RevocationOptions): Revocation {
  const { config, queries, kicks, clock, roles, configuredRoles, sessions, interval, retention, observe } =
    options
  const stop = new AbortController()
  let isKnown = false
  let answered = createDeferred()
  let since: string | undefined
  let access: KickAccess | undefined
  let pruneAt = Number.NEGATIVE_INFINITY
  let woken = new AbortController()
  let running: Promise<void> | undefined
  let failing = false

  async function look(): Promise<void> {
    await readKicks()
    isKnown = true
    for (const [lost, problem] of await roles.problems([...sessions.roles()]))
      sessions.endWhere(({ role }) => role === lost, forbiddenRole(problem))
    answered.resolve()
    answered = createDeferred()
    await configuredRoles.look()
    await extendKicks()
  }

  /** Extensions that the database refuses are tried again at the next check. */
  async function extendKicks(): Promise<void> {
    for (const extension of kicks.extensions()) {
      await queries.extendKick(extension.id, extension.tokens)
      kicks.written(extension)
    }
  }

  async function readKicks(): Promise<void> {
    if (access !== 'able') {
      const before = access
      access = await queries.kickAccess()
      if (access !== before && access !== 'able') observe({ type: 'kicks.absent', access })
      if (access !== 'able') return
    }
    try {
      const page = await queries.kicks(since)
      since = page.upto
      clock.set(page.now)
      if (kicks.add(page.kicks)) sessions.endWhere(viewer => kicks.hits(viewer), sessionEnded())
      kicks.knownUpTo(page.now)
      if (performance.now() < pruneAt) return
      pruneAt = performance.now() + PRUNE_INTERVAL_MS
      kicks.forget(page.now - retention)
      await queries.pruneKicks(retention)
    } catch (error) {
      access = undefined // the function may have been dropped or recreated
      throw error
    }
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      woken = new AbortController()
      try {
        await look()
        failing = false
      } catch (error) {
        if (stop.signal.aborted) return
        if (!failing) observe({ type: 'viewers.unchecked', ...describeFailure(error, config) })
        failing = true
      }
      await delay(interval, AbortSignal.any([stop.signal, woken.signal]))
    }
  }

  async function again(): Promise<void> {
    const ended = AbortSignal.any([stop.signal, AbortSignal.timeout(DATABASE_PATIENCE_MS)])
    await abortable(answered.promise, ended).catch(() => {
      throw unavailable('the database does not answer')
    })
  }

  return {
    async ready() {
      if (!isKnown) await again()
    },
    again,
    wake: () => woken.abort(),
    start() {
      running ??= run()
    },
    async close() {
      stop.abort()
      await Promise.all([running, queries.close()])
    },
  }
}
