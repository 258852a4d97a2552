// Decides what viewers may read of tables by the privileges granted in the database, and ends a stream before the first event that
// was read after its viewer had lost a right to it.
import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import type { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { stopping } from '../lib/stopping.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { createHolders, type Holder } from './holders.js'
import { createKnownRights, keyOf, type RoleAndTable } from './known-rights.js'
import type { TableRights } from './privileges.js'
import {
  type HeldRequirement,
  missingRight,
  missingRightOfStream,
  type ReadRequirement,
} from './read-requirement.js'
import { createPolicyWatch, type PolicyWatch } from './reads/policy-watch.js'
import { createUnfollowedReport } from './reads/unfollowed-report.js'

export interface TableAccessOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to query the database, in ms. */
  readonly reconnectMax: number
  /** Time between two checks of the rights that streams depend on, in ms. */
  readonly catalogInterval: number
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  readonly observe: Observe
}

/** A registration with `hold`. */
export interface Held {
  /** Set if events of the table were read after the rights were: show none of them before it resolves. */
  readonly ready?: Promise<void>
  stop(): void
}

/** A viewer without a role may read everything. */
export interface TableAccess {
  /** What policies read; it is checked as often as the rights. */
  readonly policies: PolicyWatch
  start(): void
  /** Reports policies of the watched tables that live queries could not follow, each once. It fails silently: nothing depends on it. */
  reportUnfollowed(): Promise<void>
  /**
   * The rights as of the last check, a moment ago. They are read again before a refusal, and if they are not known yet.
   * @throws ListenqlError FORBIDDEN if the role may not read the table, SCHEMA_CHANGED if it is gone, DATABASE_FAILED
   */
  rightsOf(role: string, table: WatchedTable): Promise<TableRights>
  /**
   * @returns undefined for a viewer without a role.
   * @throws ListenqlError as `rightsOf`, and FORBIDDEN that names the first forbidden column
   */
  assert(requirement: ReadRequirement): Promise<TableRights | undefined>
  /**
   * Calls `lost` once, possibly at once, if the viewer loses a right that `assert` has confirmed, or if policies begin to decide
   * about the rows of a stream that sees all of them (`seesAll`). The stream then has to start again.
   */
  hold(requirement: HeldRequirement, lost: (error: ListenqlError) => void): Held
  /**
   * Checks again, unless a check has begun since that moment (`performance.now()`). Waits while the database is down, until the
   * signal aborts.
   * @throws ListenqlError what `hold` would call `lost` with; or the signal's reason
   */
  recheck(requirement: HeldRequirement, since: number, signal?: AbortSignal): Promise<void>
  /**
   * Call it after reading events of these tables from the log and before dispatching them: it calls `lost` for each stream that
   * had lost the right to them by the time of the read, and then resolves. Undefined: no stream depends on rights to these tables.
   */
  read(relids: ReadonlySet<string>): Promise<void> | undefined
  /** Idempotent. */
  close(): Promise<void>
}

/** Longest time that a check may take, in ms; nothing else reveals a dead peer. */
const QUERY_TIMEOUT_MS = 10_000

export function createTableAccess(options: TableAccessOptions): TableAccess {
  const { config, connectTimeout, reconnectMax, catalogInterval, keepsPrepared = false, observe } = options
  const { pool, close: closePool } = createClosablePool({
    ...config,
    application_name: 'listenql rights',
    connectionTimeoutMillis: connectTimeout,
    query_timeout: QUERY_TIMEOUT_MS,
    max: 3,
  })
  const stop = new AbortController()
  const holders = createHolders()
  const known = createKnownRights({
    pool,
    keepsPrepared,
    onRead(key, rights) {
      for (const holder of holders.of(key)) check(holder, rights)
    },
  })
  const policies = createPolicyWatch({ pool, maxAge: 2 * catalogInterval, keepsPrepared })
  /** When events of a table were read from the log last. */
  const eventsAt = new Map<string, number>()
  const unfollowed = createUnfollowedReport({
    query: async (text, values) => (await pool.query(text, values)).rows,
    observe,
  })
  let requested = new Map<string, RoleAndTable>()
  let nextReview: Promise<void> | undefined
  let running: Promise<void> | undefined
  let lastFailure: string | undefined

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await known.review(known.all())
        known.trim(holders.has)
        await policies.review()
        lastFailure = undefined
      } catch (error) {
        if (stop.signal.aborted) return
        observeOnce(error)
      }
      await delay(catalogInterval, stop.signal)
    }
  }

  function observeOnce(error: unknown): void {
    const failure = describeFailure(error, config)
    if (failure.message !== lastFailure) observe({ type: 'rights.failed', ...failure })
    lastFailure = failure.message
  }

  /** Checks these pairs, with all others that are requested before the check begins. Waits while the database is down. */
  function review(pairs: readonly RoleAndTable[]): Promise<void> {
    for (const pair of pairs) requested.set(keyOf(pair), pair)
    nextReview ??= reviewRequested()
    return nextReview
  }

  async function reviewRequested(): Promise<void> {
    await Promise.resolve()
    const pairs = [...requested.values()]
    requested = new Map()
    nextReview = undefined
    for (let attempt = 1; ; attempt++) {
      stop.signal.throwIfAborted()
      try {
        return await known.review(pairs)
      } catch (error) {
        stop.signal.throwIfAborted()
        observeOnce(error)
        await delay(backoffDelay(attempt, reconnectMax), stop.signal)
      }
    }
  }

  function check(holder: Holder, rights: TableRights | undefined): void {
    const error = missingRightOfStream(holder.requirement, rights)
    if (error && holders.remove(holder)) holder.lost(error)
  }

  async function allowed(
    requirement: Pick<ReadRequirement, 'table' | 'columns'>,
    role: string,
  ): Promise<TableRights> {
    const pair = { relid: requirement.table.relid, role }
    const cached = known.get(pair)?.rights
    if (cached && !missingRight(requirement, cached)) return cached
    const rights = await known.read(pair) // the right may have been granted since
    const error = missingRight(requirement, rights)
    if (error) throw error
    return rights as TableRights
  }

  return {
    policies,
    start() {
      running ??= run()
    },
    reportUnfollowed: unfollowed.run,
    rightsOf: (role, table) => allowed({ table, columns: [] }, role),
    async assert(requirement) {
      const { role } = requirement.viewer
      return role === undefined ? undefined : allowed(requirement, role)
    },
    hold(requirement, lost) {
      const { role } = requirement.viewer
      if (role === undefined) return { stop: () => undefined }
      const { relid } = requirement.table
      const holder: Holder = { relid, role, requirement, lost }
      holders.add(holder)
      const end = () => void holders.remove(holder)
      const found = known.get(holder)
      if (found) check(holder, found.rights)
      // From here on the rights are checked with every page of the log; events that were read before may still be under way.
      if (found && found.reviewedAt >= (eventsAt.get(relid) ?? 0)) return { stop: end }
      return {
        ready: review([{ relid, role }]).then(() => check(holder, known.get(holder)?.rights)),
        stop: end,
      }
    },
    async recheck(requirement, since, signal) {
      const { role } = requirement.viewer
      if (role === undefined) return
      const pair = { relid: requirement.table.relid, role }
      if ((known.get(pair)?.reviewedAt ?? Number.NEGATIVE_INFINITY) < since) await review([pair])
      signal?.throwIfAborted()
      const error = missingRightOfStream(requirement, known.get(pair)?.rights)
      if (error) throw error
    },
    read(relids) {
      const now = performance.now()
      for (const relid of relids) eventsAt.set(relid, now)
      const pairs = holders.pairs(relids)
      return pairs.length === 0 ? undefined : review(pairs)
    },
    async close() {
      stop.abort(stopping())
      await closePool()
      await running
    },
  }
}
