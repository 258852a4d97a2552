import type pg from 'pg'
import { createClosablePool } from '../database/closable-pool.js'
import { describeFailure } from '../database/connect-failure.js'
import { readAccess, readDigests, type TableRights } from '../database/privileges.js'
import type { WatchedTable } from '../database/watched-table.js'
import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import {
  altered,
  mayNotBeTaken,
  mayNotRead,
  mayNotReadColumn,
  noRole,
  securedMeanwhile,
} from './access-errors.js'
import type { Viewer } from './viewer.js'

export interface TableAccessOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Between two looks at what has become of rights that somebody relies on, in ms. */
  readonly catalogInterval: number
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  readonly observe: Observe
}

/** What somebody relies on. */
export interface Claim {
  readonly viewer: Viewer
  readonly table: WatchedTable
  /** Names in the table. */
  readonly columns: readonly string[]
}

/** What roles may read of tables, by the privileges that the database has granted. A viewer without a role may read everything. */
export interface TableAccess {
  start(): void
  /**
   * What was found at the last look, a moment ago; what would be refused, and what is asked for the first time, is looked at now.
   * @throws ListenqlError FORBIDDEN if the role may not read the table, SCHEMA_CHANGED if it is gone, DATABASE_FAILED
   */
  rightsOf(role: string, table: WatchedTable): Promise<TableRights>
  /** @returns undefined for a viewer without a role. @throws ListenqlError as `rightsOf`, and FORBIDDEN that names the first column */
  assert(claim: Claim): Promise<TableRights | undefined>
  /**
   * Calls `lost` once, maybe at once, if what `assert` has allowed is allowed no longer; or if policies decide about the rows
   * now, and did not (`seesAll`): whoever relies on it has to begin anew.
   * @returns a function that ends it
   */
  hold(claim: Claim & { readonly seesAll: boolean }, lost: (error: ListenqlError) => void): () => void
  /** Idempotent. */
  close(): Promise<void>
}

interface Holder {
  readonly claim: Claim & { readonly seesAll: boolean }
  readonly role: string
  readonly lost: (error: ListenqlError) => void
}

/** What is known of a role's rights on a table. */
interface Known {
  readonly rights: TableRights
  /** What the rights rested on, or rest on by now: it was read before them. */
  readonly digest: string
  /**
   * Whether the rights were read once more after the digest was known. A commit shows in snapshots a moment before other
   * sessions are told to forget what they have cached of the catalogue: rights that are read just then may be older than their digest.
   */
  readonly isSure: boolean
  /** Which of the reads it comes from: of two that overlap, the one that began later counts. */
  readonly read: number
}

/** Longest that a look may take, in ms; a dead peer shows in no other way. */
const QUERY_TIMEOUT = 10_000

/** Most (role, table) that are remembered beside those that somebody holds. */
const MAX_KNOWN = 5000

export function createTableAccess(options: TableAccessOptions): TableAccess {
  const { config, connectTimeout, catalogInterval, observe } = options
  const { pool, close: closePool } = createClosablePool({
    ...config,
    application_name: 'listenql rights',
    connectionTimeoutMillis: connectTimeout,
    query_timeout: QUERY_TIMEOUT,
    max: 2,
  })
  const stop = new AbortController()
  const known = new Map<string, Known>()
  const reading = new Map<string, Promise<TableRights | undefined>>()
  const holders = new Set<Holder>()
  let reads = 0
  let running: Promise<void> | undefined
  let said: string | undefined

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await look()
        said = undefined
      } catch (error) {
        if (stop.signal.aborted) return
        const failure = describeFailure(error, config)
        if (failure.message !== said) observe({ type: 'rights.failed', ...failure })
        said = failure.message
      }
      await delay(catalogInterval, stop.signal)
    }
  }

  /** Reads the rights again that may have changed, or were not read twice. */
  async function look(): Promise<void> {
    const looked = [...known.values()]
    if (looked.length === 0) return
    const digests = await readDigests(
      pool,
      distinct(looked, ({ rights }) => rights.relid),
      distinct(looked, ({ rights }) => rights.role),
      options.keepsPrepared ? 'listenql digests' : undefined,
    )
    const stale = looked.filter(
      ({ rights: { relid, role }, digest, isSure }) => !isSure || digests.of(relid, role) !== digest,
    )
    if (stale.length > 0) {
      await read(
        distinct(stale, ({ rights }) => rights.relid),
        distinct(stale, ({ rights }) => rights.role),
      )
    }
    forget()
  }

  /** Takes what was read, and tells who relied on something else. */
  function note(key: string, found: Known | undefined, read: number): void {
    const before = known.get(key)
    if (before && before.read > read) {
      known.set(key, { ...before, isSure: false }) // which of the two is newer is not known
      return
    }
    if (found) known.set(key, { ...found, isSure: before?.digest === found.digest })
    else known.delete(key)
    for (const holder of [...holders]) if (keyOfHolder(holder) === key) check(holder)
  }

  /** What is known already of these roles and tables, and what is asked for, is known anew. */
  async function read(relids: readonly string[], roles: readonly string[], asked?: string): Promise<void> {
    const number = ++reads
    const client = await pool.connect()
    let isFit = false
    try {
      const { rights, digests } = await readAccess(client, relids, roles)
      isFit = true
      const byKey = new Map(rights.map(one => [keyOf(one.role, one.relid), one]))
      for (const role of roles) {
        for (const relid of relids) {
          const key = keyOf(role, relid)
          const found = byKey.get(key)
          const digest = digests.of(relid, role)
          if (key === asked || known.has(key))
            note(key, found && { rights: found, digest, isSure: false, read: number }, number)
        }
      }
    } finally {
      client.release(!isFit)
    }
  }

  function forget(): void {
    if (known.size <= MAX_KNOWN) return
    const held = new Set([...holders].map(keyOfHolder))
    for (const key of [...known.keys()]) if (!held.has(key)) known.delete(key)
  }

  function check(holder: Holder): void {
    const { claim, role, lost } = holder
    const rights = known.get(keyOf(role, claim.table.relid))?.rights
    const problem =
      problemOf(claim, role, rights) ??
      (claim.seesAll && rights?.hasRowSecurity ? securedMeanwhile(claim.table) : undefined)
    if (problem && holders.delete(holder)) lost(problem)
  }

  /** @param isStale what is known will not do */
  async function find(
    role: string,
    { relid }: WatchedTable,
    isStale = false,
  ): Promise<TableRights | undefined> {
    const key = keyOf(role, relid)
    const found = known.get(key)
    if (found && !isStale) return found.rights
    let asked = reading.get(key)
    if (!asked) {
      asked = read([relid], [role], key)
        .then(() => known.get(key)?.rights)
        .finally(() => reading.delete(key))
      reading.set(key, asked)
    }
    try {
      return await asked
    } catch (error) {
      throw new ListenqlError('DATABASE_FAILED', 'the database cannot be asked what may be read', {
        hint: 'try again',
        cause: error,
      })
    }
  }

  async function allowed(claim: Pick<Claim, 'table' | 'columns'>, role: string): Promise<TableRights> {
    const isOld = known.has(keyOf(role, claim.table.relid))
    let rights = await find(role, claim.table)
    if (isOld && problemOf(claim, role, rights)) {
      rights = await find(role, claim.table, true) // it may have been granted since
    }
    const problem = problemOf(claim, role, rights)
    if (problem) throw problem
    return rights as TableRights
  }

  return {
    start() {
      running ??= run()
    },
    rightsOf: (role, table) => allowed({ table, columns: [] }, role),
    async assert(claim) {
      const { role } = claim.viewer
      return role === undefined ? undefined : allowed(claim, role)
    },
    hold(claim, lost) {
      const { role } = claim.viewer
      if (role === undefined) return () => undefined
      const holder = { claim, role, lost }
      holders.add(holder)
      if (known.has(keyOf(role, claim.table.relid))) check(holder)
      else
        void find(role, claim.table).then(
          () => check(holder),
          () => undefined,
        )
      return () => holders.delete(holder)
    },
    async close() {
      stop.abort()
      await closePool()
      await running
    },
  }
}

function distinct<T>(items: readonly T[], of: (item: T) => string): string[] {
  return [...new Set(items.map(of))].sort()
}

function keyOfHolder({ role, claim }: Holder): string {
  return keyOf(role, claim.table.relid)
}

function keyOf(role: string, relid: string): string {
  return `${relid} ${role}`
}

function problemOf(
  { table, columns }: Pick<Claim, 'table' | 'columns'>,
  role: string,
  rights: TableRights | undefined,
): ListenqlError | undefined {
  if (!rights) return altered(table)
  if (!rights.exists) return noRole(role)
  if (!rights.mayBeTaken) return mayNotBeTaken(role)
  if (!rights.mayRead) return mayNotRead(table, role)
  const forbidden = columns.find(column => !rights.columns.includes(column))
  return forbidden === undefined ? undefined : mayNotReadColumn(table, forbidden, role)
}
