import type pg from 'pg'
import { createClosablePool } from '../database/closable-pool.js'
import { describeFailure } from '../database/connect-failure.js'
import { RIGHTS_DIGEST, readRights, type TableRights } from '../database/privileges.js'
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
  const known = new Map<string, TableRights>()
  const reading = new Map<string, Promise<TableRights | undefined>>()
  const holders = new Set<Holder>()
  let digest: string | undefined
  /** How often something was read beside the looks. */
  let changes = 0
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

  async function look(): Promise<void> {
    if (known.size === 0) return
    const rights = [...known.values()]
    const relids = [...new Set(rights.map(({ relid }) => relid))].sort()
    const { rows } = await pool.query<{ digest: string }>(RIGHTS_DIGEST, [relids])
    const now = `${relids.join()} ${rows[0]?.digest}`
    if (now === digest) return
    const before = changes
    const fresh = await read(relids, [...new Set(rights.map(({ role }) => role))])
    digest = changes === before ? now : undefined // of before: what changed in between is seen next time
    const byKey = new Map(fresh.map(one => [keyOf(one.role, one.relid), one]))
    for (const { role, relid } of rights) note(keyOf(role, relid), byKey.get(keyOf(role, relid)))
    forget()
  }

  /** Takes what was read, and tells who relied on something else. */
  function note(key: string, rights: TableRights | undefined): void {
    if (rights) known.set(key, rights)
    else known.delete(key)
    for (const holder of [...holders]) if (keyOfHolder(holder) === key) check(holder)
  }

  async function read(relids: readonly string[], roles: readonly string[]): Promise<readonly TableRights[]> {
    const client = await pool.connect()
    let isFit = false
    try {
      const rights = await readRights(client, relids, roles)
      isFit = true
      return rights
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
    const rights = known.get(keyOf(role, claim.table.relid))
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
    if (found && !isStale) return found
    let asked = reading.get(key)
    if (!asked) {
      asked = read([relid], [role])
        .then(([rights]) => {
          changes++
          digest = undefined // a look may have passed by while it was read
          note(key, rights)
          return rights
        })
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
