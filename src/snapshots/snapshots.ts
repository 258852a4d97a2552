import type pg from 'pg'
import { tableTitle, type WatchedTable } from '../catalog/watched-table.js'
import { createStopController } from '../lib/abort.js'
import type { Observe, ReadPurpose } from '../lib/observation.js'
import { stopping } from '../lib/stopping.js'
import { inSpan } from '../lib/telemetry/tracing.js'
import type { Cursors } from '../log/cursors.js'
import { type Plan, rootTable } from '../plan/plan.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { createPrepared } from '../postgres/statements/prepared.js'
import { createQuickReads } from './messages/quick-reads.js'
import { createSecuredReads } from './messages/secured-reads.js'
import { createPlanCompiler } from './plan-compiler.js'
import type { ReadLimits } from './read-limits.js'
import { createJob } from './snapshot-jobs.js'
import { snapshotQuery } from './snapshot-query.js'
import { createSnapshotQueue } from './snapshot-queue.js'
import { createSnapshotReader } from './snapshot-reader.js'
import { createSnapshotReaders } from './snapshot-readers.js'
import { asOf, planOf, type ReadAs, type Snapshot, type SnapshotRequest } from './snapshot-request.js'
import { createSnapshotScheduler } from './snapshot-scheduler.js'
import { createStatementNames } from './statement-names.js'
import { createWorksReader } from './works-reader.js'

export interface SnapshotsOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest that a read may take, and longest that it may wait before it, in ms. */
  readonly queryTimeout: number
  /** Connections that read; there is one more, for cuts. Default: 4. */
  readonly readers?: number
  /** Most bytes of the images of one snapshot. Default: 64 MiB. */
  readonly maxBytes?: () => number
  /** The options that set the two limits above, for the hints of errors. Default: those of queries. */
  readonly flags?: ReadLimits['flags']
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
  /** What the rows are read for, for metrics. Default: `query`. */
  readonly purpose?: ReadPurpose
  readonly observe?: Observe
}

/** Rows of watched tables, with the position in the event log that they show. */
export interface Snapshots {
  /**
   * Sees everything that was committed before the call.
   * @param expected how long the read will take, in ms: what takes milliseconds is read together with others. Default: it is not known
   * @throws ListenqlError SCHEMA_CHANGED if a table differs from that of the plan, TABLE_NOT_READABLE, QUERY_TIMEOUT,
   * RESULT_TOO_LARGE, DATABASE_FAILED, ARGUMENT_INVALID; or the signal's reason
   */
  read(plan: Plan, as?: ReadAs, signal?: AbortSignal, expected?: number): Promise<Snapshot>
  /** Reads rows of one table. */
  snapshot(table: WatchedTable, request: SnapshotRequest, signal?: AbortSignal): Promise<Snapshot>
  /** Gives running reads a moment. Idempotent. */
  close(): Promise<void>
}

const MiB = 2 ** 20
const QUERY_FLAGS = { timeout: '--query-timeout', bytes: '--max-snapshot' }

/**
 * All waiting requests share the next cut: a thousand clients that arrive at once need one or two. The transaction that cuts
 * exports its snapshot, reading connections import it, the transaction commits at once (until then, other sessions that follow the
 * log wait), and the connections read without haste, equal requests once (https://www.postgresql.org/docs/current/functions-admin.html,
 * "Snapshot Synchronization Functions"). If snapshots cannot be exported, the cutting transaction reads by itself.
 */
export function createSnapshots(options: SnapshotsOptions): Snapshots {
  const { config, connectTimeout, queryTimeout, cursors, observe } = options
  const {
    readers: mostReaders = 4,
    maxBytes = () => 64 * MiB,
    flags = QUERY_FLAGS,
    keepsPrepared = false,
    purpose = 'query',
  } = options
  const poolOf = (max: number) =>
    createClosablePool({
      ...config,
      application_name: 'listenql snapshot',
      connectionTimeoutMillis: connectTimeout,
      max,
    })
  const cutters = poolOf(1)
  const readerPool = poolOf(mostReaders)
  const stop = createStopController()
  const limits: ReadLimits = {
    queryTimeout,
    flags,
    get maxBytes() {
      return maxBytes()
    },
  }
  const compiler = createPlanCompiler()
  const names = createStatementNames(keepsPrepared)
  const reader = createSnapshotReader(limits, compiler, names)
  const secured = keepsPrepared ? createSecuredReads(limits, compiler, names) : undefined
  const quick = keepsPrepared
    ? createQuickReads({ limits, compiler, prepared: createPrepared(true), signal: stop.signal })
    : undefined
  // The queue and the readers wake the scheduler, which takes from both.
  const wake = () => scheduler.wake()
  const readers = createSnapshotReaders({
    pool: readerPool.pool,
    most: mostReaders,
    queryTimeout,
    onFree: wake,
  })
  const queue = createSnapshotQueue({
    ...{ cursors, purpose, observe },
    onWaiting: wake,
    signal: stop.signal,
  })
  const scheduler = createSnapshotScheduler({
    cutters: cutters.pool,
    ...{ queue, reader, readers, quick, queryTimeout },
    readAll: createWorksReader({ queue, reader, secured, readers: mostReaders }),
    signal: stop.signal,
  })

  async function read(
    plan: Plan,
    as: ReadAs = {},
    signal?: AbortSignal,
    expected?: number,
  ): Promise<Snapshot> {
    if (stop.signal.aborted) throw stopping()
    await cursors.ready(signal)
    if (stop.signal.aborted) throw stopping()
    const work = () => {
      const { job, promise } = createJob(snapshotQuery(plan, as), {
        patience: queryTimeout,
        signal,
        expected,
      })
      queue.add(job)
      scheduler.wake()
      return promise
    }
    const attributes = { 'db.collection.name': tableTitle(rootTable(plan)) }
    // A live query is read for all its subscribers, so the read belongs to no single request.
    return inSpan('listenql.read', attributes, work, { isRoot: purpose === 'live' })
  }

  return {
    read,
    snapshot: (table, request, signal) => read(planOf(table, request), asOf(table, request), signal),
    async close() {
      stop.abort()
      queue.close()
      await Promise.all([cutters.close(), readerPool.close()])
    },
  }
}
