import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { createStopController } from '../lib/abort.js'
import { messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import type { Cursors } from '../log/cursors.js'
import type { Position } from '../log/position.js'
import type { Plan } from '../plan/plan.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { PIN_VIEWS } from '../postgres/pinned-settings.js'
import { isStatementError } from '../postgres/sql-state.js'
import { createPrepared } from '../postgres/statements/prepared.js'
import { createPlanCompiler } from './plan-compiler.js'
import { createQuickReads } from './quick-reads.js'
import type { ReadLimits } from './read-limits.js'
import { createSecuredReads } from './secured-reads.js'
import { beginCut, exportSnapshot, hasWritten, SAVEPOINT } from './snapshot-cut.js'
import { cutRefused, stopping, unreachable } from './snapshot-errors.js'
import { createJob, type Job, readAlone, type Work } from './snapshot-jobs.js'
import { snapshotQuery } from './snapshot-query.js'
import { createSnapshotQueue } from './snapshot-queue.js'
import { createSnapshotReader } from './snapshot-reader.js'
import { createSnapshotReaders } from './snapshot-readers.js'
import { planOf, type ReadAs, type Snapshot, type SnapshotRequest } from './snapshot-request.js'
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
  readonly maxBytes?: number
  /** The options that set the two limits above, for the hints of errors. Default: those of queries. */
  readonly flags?: ReadLimits['flags']
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
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

/** Most cuts without a read, in search of one that makes no batch, if the cutting transaction has to read by itself. */
const LONELY_CUT_TRIES = 5

/** After this many ms the server tries again whether snapshots can be exported. */
const EXPORT_RETRY_MS = 60_000

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
    maxBytes = 64 * MiB,
    flags = QUERY_FLAGS,
    keepsPrepared = false,
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
  const limits: ReadLimits = { queryTimeout, maxBytes, flags }
  const compiler = createPlanCompiler()
  const names = createStatementNames(keepsPrepared)
  const reader = createSnapshotReader(limits, compiler, names)
  const secured = keepsPrepared ? createSecuredReads(limits, compiler, names) : undefined
  const quick = keepsPrepared
    ? createQuickReads({ limits, compiler, prepared: createPrepared(true), signal: stop.signal })
    : undefined
  const readers = createSnapshotReaders({
    pool: readerPool.pool,
    most: mostReaders,
    queryTimeout,
    onFree: schedule,
  })
  const queue = createSnapshotQueue({ cursors, onWaiting: schedule, signal: stop.signal, observe })
  const readAll = createWorksReader({ queue, reader, secured, readers: mostReaders })
  /** Policies run code of others, which a transaction that may write must not. */
  const isForCutter = ({ isQuick, query }: Job) => quick !== undefined && isQuick && !query.viewer?.isSecured
  const isForReaders = (job: Job) => !isForCutter(job)
  let isCutting = false
  let noExportUntil = 0

  function schedule(): void {
    if (isCutting || queue.isEmpty || stop.signal.aborted) return
    if (readers.free === 0 && queue.works(isForCutter).length === 0) return
    isCutting = true
    void serve().finally(() => {
      isCutting = false
      schedule()
    })
  }

  /** One cut, for all waiting requests. */
  async function serve(): Promise<void> {
    const works: Work[] = []
    let cutter: pg.PoolClient
    try {
      cutter = await cutters.pool.connect()
    } catch (error) {
      queue.take(works)
      return queue.fail(works, unreachable(error))
    }
    try {
      await serveQuickly(cutter, works)
      if (readers.free > 0 && queue.works(isForReaders).length > 0) {
        if (performance.now() < noExportUntil) await serveAlone(cutter, works)
        else await serveTogether(cutter, works)
      }
      cutter.release()
    } catch (error) {
      cutter.release(true)
      if (works.length === 0) queue.take(works)
      if (isStatementError(error)) queue.fail(works.splice(0), cutRefused(error))
      else queue.again(works.splice(0), messageOf(error))
    }
  }

  /** Reads what is quick. The rest stays in the queue. */
  async function serveQuickly(cutter: pg.PoolClient, works: Work[]): Promise<void> {
    const waiting = queue.works(isForCutter)
    if (!quick || waiting.length === 0) return
    const { chosen, unfit } = await quick.choose(cutter, waiting)
    readAlone(unfit)
    if (chosen.size === 0) return
    try {
      const result = await quick.read(cutter, chosen, () =>
        queue.take(works, job => isForCutter(job) && chosen.has(job.query.key)),
      )
      if (!result) {
        readAlone(works)
        return queue.putBack(works.splice(0))
      }
      const { position, outcomes, durations } = result
      for (const work of works.splice(0)) {
        const { key } = work.query
        const outcome = outcomes.get(key)
        if (outcome && queue.begin(work)) queue.conclude(work, position, outcome, durations.get(key) ?? 0)
      }
    } catch (error) {
      readAlone(works) // also if the connection was lost: one of them may have ended it
      if (!isStatementError(error)) throw error
      queue.putBack(works.splice(0))
    }
  }

  /** @param works gets the requests that the cut serves */
  const cut = (cutter: pg.PoolClient, works: Work[]) =>
    beginCut(cutter, { queryTimeout, signal: stop.signal, onTaking: () => queue.take(works, isForReaders) })

  async function serveTogether(cutter: pg.PoolClient, works: Work[]): Promise<void> {
    // Readers connect before the cut, so that it is open for a few round trips only.
    const idle = await readers.connect(Math.min(readers.free, queue.works(isForReaders).length))
    if (idle.length === 0) return serveAlone(cutter, works)
    let reading: pg.PoolClient[] = []
    try {
      const position = await cut(cutter, works)
      const id = await exportSnapshot(cutter).catch(unlessLost)
      if (id !== undefined) reading = await readers.importSnapshot(idle.splice(0), id)
      if (reading.length > 0) {
        await cutter.query('commit')
        return readTogether(reading.splice(0), position, works)
      }
      await cutter.query('rollback')
    } finally {
      for (const client of idle) readers.release(client)
      for (const client of reading) readers.release(client, true)
    }
    noExportUntil = performance.now() + EXPORT_RETRY_MS
    await serveAlone(cutter, works)
  }

  /** Continues during later cuts. */
  function readTogether(clients: readonly pg.PoolClient[], position: Position, works: Work[]): void {
    const rest = works.splice(0)
    const all = clients.map(async client => {
      try {
        await readAll(client, position, rest)
        await client.query('rollback')
        readers.release(client)
      } catch {
        readers.release(client, true)
      }
    })
    // Work that no connection has done, because they were lost.
    void Promise.all(all).then(() => queue.again(rest.splice(0), 'the connection was lost'))
  }

  /** Reads in the cutting transaction, which must not be open for long if it has made a batch. */
  async function serveAlone(cutter: pg.PoolClient, works: Work[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const position = await cut(cutter, works)
      const isHeldUp = await hasWritten(cutter)
      if (isHeldUp && attempt < LONELY_CUT_TRIES) {
        await cutter.query('commit')
        continue
      }
      await cutter.query(`${PIN_VIEWS}; savepoint ${SAVEPOINT}`)
      if (!isHeldUp) {
        await readAll(cutter, position, works)
        await cutter.query('rollback')
        return
      }
      const [first, ...rest] = works.splice(0)
      queue.putBack(rest)
      if (first && queue.begin(first)) {
        works.push(first)
        const began = performance.now()
        const outcome = await reader.read(cutter, first.query)
        const duration = performance.now() - began
        await cutter.query('commit') // the position is valid only from now on
        works.pop()
        queue.conclude(first, position, outcome, duration)
      }
      return
    }
  }

  async function read(
    plan: Plan,
    as: ReadAs = {},
    signal?: AbortSignal,
    expected?: number,
  ): Promise<Snapshot> {
    if (stop.signal.aborted) throw stopping()
    await cursors.ready(signal)
    if (stop.signal.aborted) throw stopping()
    const { job, promise } = createJob(snapshotQuery(plan, as), { patience: queryTimeout, signal, expected })
    queue.add(job)
    schedule()
    return promise
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

/** A viewer that reads some columns may not be able to sort by others. */
function asOf({ relid, key }: WatchedTable, { viewer, isSecured, columns }: SnapshotRequest): ReadAs {
  return {
    viewer,
    ...(isSecured !== undefined && { isSecured }),
    ...(columns && { keys: new Map([[relid, key.filter(name => columns.includes(name))]]) }),
  }
}

/** A refusal of Postgres is not fatal here; a lost connection is. */
function unlessLost(error: unknown): undefined {
  if (!isStatementError(error)) throw error
}
