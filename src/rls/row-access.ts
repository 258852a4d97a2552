// Decides which rows viewers may see: evaluates the policies of the database on images of rows, independent of the table's present
// rows, under the viewer's role, settings and claims.

import { setMaxListeners } from 'node:events'
import type pg from 'pg'
import { type Viewer, viewerKey } from '../auth/viewer.js'
import { tableTitle, type WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { stopping } from '../lib/stopping.js'
import { inSpan } from '../lib/telemetry/tracing.js'
import { createTurns } from '../lib/turns.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { QUICK_MS } from './batches/batch-limits.js'
import { createBatchMemory } from './batches/batch-memory.js'
import { batchViewersOf } from './batches/batch-plan.js'
import { createBatchScheduler } from './batches/batch-scheduler.js'
import { withPolicyConnection } from './batches/policy-connection.js'
import { conditionOf, readConditions } from './batches/read-conditions.js'
import type { RowCondition } from './conditions/viewer-condition.js'
import { mayReadItself } from './self-reading.js'
import { checkSlowApart, createSlowViewers } from './slow-viewers.js'
import type { CheckVisibility, ReadConditions, Visibility } from './visibility.js'

export interface RowAccessOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  /** Longest time that the policies of a table may take for one viewer and 500 images, in ms. Default: 250. */
  readonly policyTimeout?: number
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  /** Connections that evaluate policies. Default: 3. */
  readonly connections?: number
  readonly observe: Observe
}

export interface RowAccess {
  /**
   * An error is of one viewer alone: FORBIDDEN (no right to read the table, or policies that fail or cannot be evaluated on an
   * image), QUERY_TIMEOUT, SCHEMA_CHANGED.
   */
  readonly checkVisibility: CheckVisibility
  readonly readConditions: ReadConditions
  /** The same, but it waits for slow viewers too. */
  sees(
    table: WatchedTable,
    viewers: readonly Viewer[],
    images: readonly RowImage[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, Visibility>>
  /**
   * Checks that the policies work on images, before a subscription starts. The result is the same for all viewers of a role.
   * @returns whether they may read the claims that differ in every token
   * @throws ListenqlError as `sees` returns it for this viewer
   */
  probe(table: WatchedTable, viewer: Viewer): Promise<boolean>
  /**
   * Whether policies of the table read the table itself under this viewer's role, as `probe` or later queries have found. Their
   * results then depend on the present rows and not on the image alone.
   */
  readsItself(table: WatchedTable, viewer: Viewer): boolean
  /** Idempotent. */
  close(): Promise<void>
}

/** Most roles whose conditions are read for each page: of many roles, the page may concern a few only, whose rights batches read. */
const MAX_ROLES = 8

export function createRowAccess(options: RowAccessOptions): RowAccess {
  const { config, connectTimeout, policyTimeout = 250, keepsPrepared = false, connections = 3 } = options
  const { pool, close: closePool } = createClosablePool({
    ...config,
    application_name: 'listenql policies',
    connectionTimeoutMillis: connectTimeout,
    max: connections,
  })
  const stop = new AbortController()
  const memory = createBatchMemory(keepsPrepared)
  const { planPolicies, selfReading } = memory
  const slowViewers = createSlowViewers(QUICK_MS)
  const turns = createTurns({ limit: connections, slowLimit: Math.max(1, connections - 1) })
  const check = createBatchScheduler({
    ...options,
    pool,
    turns,
    policyTimeout,
    connections,
    memory,
    slowViewers,
  })

  const checkVisibility: CheckVisibility = (table, viewers, images, signal) => {
    const ends = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
    if (ends.aborted) return Promise.reject(ends.reason)
    setMaxListeners(0, ends) // each viewer that is checked separately adds a listener
    const decide = () =>
      checkSlowApart(
        slowViewers,
        table.relid,
        batchViewersOf(viewers),
        (some, tooSlow) => check({ table, images, signal: ends, tooSlow }, some),
        ends,
      )
    const attributes = {
      'db.collection.name': tableTitle(table),
      'listenql.viewers': viewers.length,
      'listenql.rows': images.length,
    }
    return abortable(inSpan('listenql.policies', attributes, decide, { isRoot: true }), ends)
  }

  const sees: RowAccess['sees'] = async (table, viewers, images, signal) => {
    const verdicts = new Map<string, Visibility>()
    for (const [key, verdict] of await checkVisibility(table, viewers, images, signal))
      verdicts.set(key, await verdict)
    return verdicts
  }

  /** An error leaves the decision to `checkVisibility`, which waits, tries again and reports. */
  async function readNow(
    table: WatchedTable,
    roles: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RowCondition>> {
    const budget = Math.min(policyTimeout, QUICK_MS)
    try {
      return await turns.run(table.relid, false, async () => {
        const began = performance.now()
        const conditions = await withPolicyConnection(pool, memory, client =>
          readConditions(client, table, roles, budget, memory),
        )
        const took = performance.now() - began
        options.observe({ type: 'policies.checked', table: tableTitle(table), took })
        return conditions
      })
    } catch {
      signal.throwIfAborted()
      return new Map()
    }
  }

  return {
    checkVisibility,
    readConditions(table, roles, signal) {
      const rights = memory.rightsOf(table.relid)
      const some = [...roles].filter(role => conditionOf(memory, table, role, rights.get(role)))
      if (some.length === 0 || some.length > MAX_ROLES) return undefined
      const ends = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
      return abortable(readNow(table, some, ends), ends)
    },
    sees,
    async probe(table, viewer) {
      const role = viewer.role as string
      const whole: Viewer = { ...viewer, seesToken: true }
      const verdict = (await sees(table, [whole], [])).get(viewerKey(whole, true))
      if (verdict instanceof ListenqlError) throw verdict
      const { relid } = table
      const plan = planPolicies(table, memory.rightsOf(relid).get(role))
      if (plan.kind !== 'asked') return false
      if (!plan.isShareable && !selfReading.has(relid, role) && (await mayReadItself(pool, relid)))
        selfReading.add(relid, role)
      return plan.mayReadToken
    },
    readsItself: ({ relid }, { role }) => role !== undefined && selfReading.has(relid, role),
    async close() {
      stop.abort(stopping())
      await closePool()
    },
  }
}
