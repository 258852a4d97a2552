import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { describeFailure } from '../postgres/connect-failure.js'
import {
  altered,
  mayNotBeTaken,
  mayNotRead,
  mayNotReadColumn,
  noRole,
  securedMeanwhile,
} from './access-errors.js'
import {
  createHolders,
  type HeldRequirement,
  type Holder,
  type Pair,
  type ReadRequirement,
} from './holders.js'
import { readAccess, readDigests, type TableRights } from './privileges.js'

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

/** What roles may read of tables, by the privileges granted in the database. A viewer without a role may read everything. */
export interface TableAccess {
  start(): void
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

/** What is cached of a role's rights on a table. */
interface Known {
  readonly rights: TableRights
  /** The digest of what the rights depend on; it was read before them, or confirmed since. */
  readonly digest: string
  /**
   * Whether the rights were read once more after the digest was known. A commit is visible in snapshots a moment before other
   * sessions invalidate their catalogue caches: rights that are read in that moment may be older than their digest.
   */
  readonly isSure: boolean
  /** The number of the read it comes from: of two that overlap, the one that began later counts. */
  readonly read: number
  /** When their last check began: the rights are at least that new. */
  readonly reviewedAt: number
}

/** Longest time that a check may take, in ms; nothing else reveals a dead peer. */
const QUERY_TIMEOUT_MS = 10_000

/** Most pairs of role and table that are cached in addition to those of holders. */
const MAX_KNOWN_RIGHTS = 5000

export function createTableAccess(options: TableAccessOptions): TableAccess {
  const { config, connectTimeout, reconnectMax, catalogInterval, observe } = options
  const { pool, close: closePool } = createClosablePool({
    ...config,
    application_name: 'listenql rights',
    connectionTimeoutMillis: connectTimeout,
    query_timeout: QUERY_TIMEOUT_MS,
    max: 3,
  })
  const stop = new AbortController()
  const known = new Map<string, Known>()
  const reading = new Map<string, Promise<TableRights | undefined>>()
  const holders = createHolders(check)
  /** When events of a table were read from the log last. */
  const eventsAt = new Map<string, number>()
  let asked = new Map<string, Pair>()
  let asking: Promise<void> | undefined
  let reads = 0
  let running: Promise<void> | undefined
  let said: string | undefined

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await review([...known.values()].map(({ rights }) => rights))
        forget()
        said = undefined
      } catch (error) {
        if (stop.signal.aborted) return
        tell(error)
      }
      await delay(catalogInterval, stop.signal)
    }
  }

  function tell(error: unknown): void {
    const failure = describeFailure(error, config)
    if (failure.message !== said) observe({ type: 'rights.failed', ...failure })
    said = failure.message
  }

  /** Reads the rights again that may have changed, or were read only once. */
  async function review(pairs: readonly Pair[]): Promise<void> {
    if (pairs.length === 0) return
    const began = performance.now()
    const relids = distinct(pairs, ({ relid }) => relid)
    const roles = distinct(pairs, ({ role }) => role)
    const digests = await readDigests(
      pool,
      relids,
      roles,
      options.keepsPrepared ? 'listenql digests' : undefined,
    )
    const stale: Pair[] = []
    for (const pair of pairs) {
      const key = keyOf(pair)
      const found = known.get(key)
      if (found?.isSure && digests.of(pair.relid, pair.role) === found.digest) {
        if (found.reviewedAt < began) known.set(key, { ...found, reviewedAt: began })
      } else stale.push(pair)
    }
    if (stale.length > 0) await read(stale)
  }

  /** Reads the rights of these pairs, and refreshes what is cached of the same roles and tables. */
  async function read(pairs: readonly Pair[]): Promise<void> {
    const number = ++reads
    const reviewedAt = performance.now()
    const relids = distinct(pairs, ({ relid }) => relid)
    const roles = distinct(pairs, ({ role }) => role)
    const wanted = new Set(pairs.map(keyOf))
    const client = await pool.connect()
    let isFit = false
    try {
      const { rights, digests } = await readAccess(client, relids, roles)
      isFit = true
      const byKey = new Map(rights.map(one => [keyOf(one), one]))
      for (const role of roles) {
        for (const relid of relids) {
          const key = keyOf({ relid, role })
          if (!wanted.has(key) && !known.has(key)) continue
          const found = byKey.get(key)
          const digest = digests.of(relid, role)
          note(key, found && { rights: found, digest, isSure: false, read: number, reviewedAt }, number)
        }
      }
    } finally {
      client.release(!isFit)
    }
  }

  /** Stores rights that were read, and checks the streams that depend on them. */
  function note(key: string, found: Known | undefined, read: number): void {
    const before = known.get(key)
    if (before && before.read > read) {
      known.set(key, { ...before, isSure: false }) // it is unknown which of the two is newer
      return
    }
    if (found) known.set(key, { ...found, isSure: before?.digest === found.digest })
    else known.delete(key)
    holders.check(key)
  }

  /** Checks these pairs, with all others that are requested before the check begins. Waits while the database is down. */
  function reviewNow(pairs: readonly Pair[]): Promise<void> {
    for (const pair of pairs) asked.set(keyOf(pair), pair)
    asking ??= (async () => {
      await Promise.resolve()
      const taken = [...asked.values()]
      asked = new Map()
      asking = undefined
      for (let attempt = 1; ; attempt++) {
        stop.signal.throwIfAborted()
        try {
          return await review(taken)
        } catch (error) {
          stop.signal.throwIfAborted()
          tell(error)
          await delay(backoffDelay(attempt, reconnectMax), stop.signal)
        }
      }
    })()
    return asking
  }

  function forget(): void {
    if (known.size <= MAX_KNOWN_RIGHTS) return
    for (const key of [...known.keys()]) if (!holders.has(key)) known.delete(key)
  }

  function problemOfHeld(requirement: HeldRequirement, role: string): ListenqlError | undefined {
    const rights = known.get(keyOf({ role, relid: requirement.table.relid }))?.rights
    return (
      problemOf(requirement, role, rights) ??
      (requirement.seesAll && rights?.hasRowSecurity ? securedMeanwhile(requirement.table) : undefined)
    )
  }

  function check(holder: Holder): void {
    const problem = problemOfHeld(holder.requirement, holder.role)
    if (problem && holders.remove(holder)) holder.lost(problem)
  }

  /** @param isStale true: the cached rights are too old, read them again */
  async function find(
    role: string,
    { relid }: WatchedTable,
    isStale = false,
  ): Promise<TableRights | undefined> {
    const key = keyOf({ relid, role })
    const found = known.get(key)
    if (found && !isStale) return found.rights
    let pending = reading.get(key)
    if (!pending) {
      pending = read([{ relid, role }])
        .then(() => known.get(key)?.rights)
        .finally(() => reading.delete(key))
      reading.set(key, pending)
    }
    try {
      return await pending
    } catch (error) {
      throw new ListenqlError('DATABASE_FAILED', 'the server cannot find out what the role may read', {
        hint: 'try again',
        cause: error,
      })
    }
  }

  async function allowed(
    requirement: Pick<ReadRequirement, 'table' | 'columns'>,
    role: string,
  ): Promise<TableRights> {
    const isOld = known.has(keyOf({ role, relid: requirement.table.relid }))
    let rights = await find(role, requirement.table)
    if (isOld && problemOf(requirement, role, rights)) {
      rights = await find(role, requirement.table, true) // the right may have been granted since
    }
    const problem = problemOf(requirement, role, rights)
    if (problem) throw problem
    return rights as TableRights
  }

  return {
    start() {
      running ??= run()
    },
    rightsOf: (role, table) => allowed({ table, columns: [] }, role),
    async assert(requirement) {
      const { role } = requirement.viewer
      return role === undefined ? undefined : allowed(requirement, role)
    },
    hold(requirement, lost) {
      const { role } = requirement.viewer
      if (role === undefined) return { stop: () => undefined }
      const { relid } = requirement.table
      const holder: Holder = { requirement, role, key: keyOf({ relid, role }), lost }
      holders.add(holder)
      const end = () => void holders.remove(holder)
      const reviewedAt = known.get(holder.key)?.reviewedAt
      if (reviewedAt !== undefined) check(holder)
      // From here on the rights are checked with every page of the log; events that were read before may still be under way.
      if (reviewedAt !== undefined && reviewedAt >= (eventsAt.get(relid) ?? 0)) return { stop: end }
      return { ready: reviewNow([{ relid, role }]).then(() => check(holder)), stop: end }
    },
    async recheck(requirement, since, signal) {
      const { role } = requirement.viewer
      if (role === undefined) return
      const pair = { relid: requirement.table.relid, role }
      if ((known.get(keyOf(pair))?.reviewedAt ?? Number.NEGATIVE_INFINITY) < since) await reviewNow([pair])
      signal?.throwIfAborted()
      const problem = problemOfHeld(requirement, role)
      if (problem) throw problem
    },
    read(relids) {
      const now = performance.now()
      for (const relid of relids) eventsAt.set(relid, now)
      const pairs = holders.pairs(relids)
      return pairs.length === 0 ? undefined : reviewNow(pairs)
    },
    async close() {
      stop.abort(new ListenqlError('DATABASE_FAILED', 'the server is stopping', { hint: 'try again' }))
      await closePool()
      await running
    },
  }
}

function distinct<T>(items: readonly T[], of: (item: T) => string): string[] {
  return [...new Set(items.map(of))].sort()
}

function keyOf({ relid, role }: Pair): string {
  return `${relid} ${role}`
}

/** Columns are compared by number: a name may belong to another column by now. */
function problemOf(
  { table, columns }: Pick<ReadRequirement, 'table' | 'columns'>,
  role: string,
  rights: TableRights | undefined,
): ListenqlError | undefined {
  if (!rights) return altered(table)
  if (!rights.exists) return noRole(role)
  if (!rights.mayBeTaken) return mayNotBeTaken(role)
  if (!rights.mayRead) return mayNotRead(table, role)
  for (const name of columns) {
    const number = table.columns.find(column => column.name === name)?.number
    if (number === undefined || !rights.allNumbers.includes(number)) return altered(table)
    if (!rights.numbers.includes(number)) return mayNotReadColumn(table, name, role)
  }
  return undefined
}
