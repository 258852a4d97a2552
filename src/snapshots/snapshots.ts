import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { createStopController } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import type { Cursors } from '../log/cursors.js'
import type { Position } from '../log/position.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { hasSqlState, isStatementError, SQL_STATE } from '../postgres/sql-state.js'
import { beginCut, exportSnapshot, hasWritten, importSnapshot, SAVEPOINT } from './snapshot-cut.js'
import { createJob, groupJobs, type Job, type Work } from './snapshot-jobs.js'
import { createSnapshotReader, type Outcome } from './snapshot-reader.js'
import type { Snapshot, SnapshotRequest } from './snapshot-request.js'

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
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
  readonly observe?: Observe
}

/** Rows of watched tables, with the position in the event log that they show. */
export interface Snapshots {
  /**
   * Sees everything that was committed before the call.
   * @throws ListenqlError SCHEMA_CHANGED if the table differs from `table`, TABLE_NOT_READABLE, QUERY_TIMEOUT,
   * RESULT_TOO_LARGE, DATABASE_FAILED, ARGUMENT_INVALID; or the signal's reason
   */
  snapshot(table: WatchedTable, request: SnapshotRequest, signal?: AbortSignal): Promise<Snapshot>
  /** Gives running reads a moment. Idempotent. */
  close(): Promise<void>
}

const MiB = 2 ** 20

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
  const { config, connectTimeout, queryTimeout, readers: mostReaders = 4, maxBytes = 64 * MiB } = options
  const { pool, close: closePool } = createClosablePool({
    ...config,
    application_name: 'listenql snapshot',
    connectionTimeoutMillis: connectTimeout,
    max: mostReaders + 1,
  })
  const reader = createSnapshotReader({ queryTimeout, maxBytes })
  const stop = createStopController()
  const waiting: Job[] = []
  let freeReaders = mostReaders
  let isCutting = false
  let noExportUntil = 0

  function schedule(): void {
    if (isCutting || freeReaders === 0 || waiting.length === 0 || stop.signal.aborted) return
    isCutting = true
    void serve().finally(() => {
      isCutting = false
      schedule()
    })
  }

  /** One cut, for all waiting requests. */
  async function serve(): Promise<void> {
    let cutter: pg.PoolClient
    try {
      cutter = await pool.connect()
    } catch (error) {
      return fail(waiting.splice(0), unreachable(error))
    }
    const works: Work[] = []
    try {
      if (performance.now() < noExportUntil) await serveAlone(cutter, works)
      else await serveTogether(cutter, works)
      cutter.release()
    } catch (error) {
      cutter.release(true)
      if (works.length === 0) take(works)
      if (isStatementError(error)) fail(jobsOf(works.splice(0)), refused(error))
      else again(works.splice(0), messageOf(error))
    }
  }

  /** Takes the jobs that are waiting now, for a snapshot that is about to be taken. */
  function take(works: Work[]): void {
    const jobs = [...jobsOf(works), ...waiting.splice(0)].filter(job => !job.isSettled)
    works.splice(0, works.length, ...groupJobs(jobs))
  }

  const cut = (cutter: pg.PoolClient, works: Work[]) =>
    beginCut(cutter, { queryTimeout, signal: stop.signal, onTaking: () => take(works) })

  async function serveTogether(cutter: pg.PoolClient, works: Work[]): Promise<void> {
    // Readers connect before the cut, so that it is open for a few round trips only.
    const idle = await connectReaders(Math.min(freeReaders, groupJobs(waiting).length))
    if (idle.length === 0) return serveAlone(cutter, works)
    let reading: pg.PoolClient[] = []
    try {
      const position = await cut(cutter, works)
      const id = await exportSnapshot(cutter).catch(unlessLost)
      if (id !== undefined) reading = await importAll(idle.splice(0), id)
      if (reading.length > 0) {
        await cutter.query('commit')
        return readTogether(reading.splice(0), position, works)
      }
      await cutter.query('rollback')
    } finally {
      for (const client of idle) letGo(client)
      for (const client of reading) letGo(client, true)
    }
    noExportUntil = performance.now() + EXPORT_RETRY_MS
    await serveAlone(cutter, works)
  }

  async function connectReaders(count: number): Promise<pg.PoolClient[]> {
    freeReaders -= count
    const results = await Promise.allSettled(Array.from({ length: count }, () => pool.connect()))
    const clients = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    freeReaders += count - clients.length
    return clients
  }

  function letGo(client: pg.PoolClient, isBroken = false): void {
    freeReaders++
    client.release(isBroken)
    schedule()
  }

  /** The clients that could import it; none if Postgres refuses. */
  async function importAll(clients: readonly pg.PoolClient[], id: string): Promise<pg.PoolClient[]> {
    const imported: pg.PoolClient[] = []
    let lost: unknown
    await Promise.all(
      clients.map(async client => {
        try {
          await importSnapshot(client, id, queryTimeout)
          imported.push(client)
        } catch (error) {
          if (!isStatementError(error)) lost = error
          letGo(client, true)
        }
      }),
    )
    if (imported.length === 0 && lost !== undefined) throw lost
    return imported
  }

  /** Continues during later cuts. */
  function readTogether(clients: readonly pg.PoolClient[], position: Position, works: Work[]): void {
    const queue = works.splice(0)
    const all = clients.map(async client => {
      try {
        await readAll(client, position, queue)
        await client.query('rollback')
        letGo(client)
      } catch {
        letGo(client, true)
      }
    })
    // Work that no connection has done, because they were lost.
    void Promise.all(all).then(() => again(queue.splice(0), 'the connection was lost'))
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
      await cutter.query(`savepoint ${SAVEPOINT}`)
      if (!isHeldUp) {
        await readAll(cutter, position, works)
        await cutter.query('rollback')
        return
      }
      const [first, ...rest] = works.splice(0)
      waiting.unshift(...jobsOf(rest))
      if (first && begin(first)) {
        works.push(first)
        const outcome = await reader.read(cutter, first.table, first.query)
        await cutter.query('commit') // the position is valid only from now on
        works.pop()
        conclude(first, position, outcome)
      }
      return
    }
  }

  /** @throws the error that ended the connection; its current work is put back */
  async function readAll(client: pg.PoolClient, position: Position, queue: Work[]): Promise<void> {
    for (let work = queue.shift(); work; work = queue.shift()) {
      if (!begin(work)) continue
      try {
        conclude(work, position, await reader.read(client, work.table, work.query))
      } catch (error) {
        again([work], messageOf(error))
        throw error
      }
    }
  }

  /** False: no client waits for it any more. */
  function begin({ jobs }: Work): boolean {
    for (const job of jobs) job.started()
    return jobs.some(job => !job.isSettled)
  }

  function conclude({ table, query, jobs }: Work, position: Position, outcome: Outcome): void {
    if (outcome.kind === 'again') return again([{ table, query, jobs }], outcome.reason)
    if (outcome.kind === 'failed') return fail(jobs, outcome.error)
    const snapshot: Snapshot = { cursor: options.cursors.encode(position), position, rows: outcome.rows }
    for (const job of jobs) job.resolve(snapshot)
  }

  function again(works: readonly Work[], reason: string): void {
    const closing = stop.signal.aborted ? stopping() : undefined
    const givenUp: Job[] = []
    for (const job of jobsOf(works)) {
      if (closing) job.reject(closing)
      else if (job.again()) waiting.push(job)
      else givenUp.push(job)
    }
    if (givenUp.length > 0) tell(givenUp, reason)
    schedule()
  }

  function fail(jobs: readonly Job[], error: ListenqlError): void {
    const failure = stop.signal.aborted ? stopping() : error
    if (failure.code === 'DATABASE_FAILED' && !stop.signal.aborted) {
      tell(jobs, messageOf(failure.cause ?? failure))
    }
    for (const job of jobs) job.reject(failure)
  }

  function tell([job]: readonly Job[], message: string): void {
    if (job) options.observe?.({ type: 'snapshot.failed', table: job.table.name, message })
  }

  return {
    async snapshot(table, request, signal) {
      if (stop.signal.aborted) throw stopping()
      await options.cursors.ready(signal)
      if (stop.signal.aborted) throw stopping()
      const { job, promise } = createJob(table, request, { patience: queryTimeout, signal })
      waiting.push(job)
      schedule()
      return promise
    },
    async close() {
      stop.abort()
      for (const job of waiting.splice(0)) job.reject(stopping())
      await closePool()
    },
  }
}

/** A refusal of Postgres is not fatal here; a lost connection is. */
function unlessLost(error: unknown): undefined {
  if (!isStatementError(error)) throw error
}

function jobsOf(works: readonly Work[]): Job[] {
  return works.flatMap(({ jobs }) => jobs)
}

function unreachable(cause: unknown): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'the database cannot be reached', {
    hint: 'try again; the log of the server has the reason',
    cause,
  })
}

/** The error if Postgres refuses the cut. */
function refused(cause: unknown): ListenqlError {
  const denied = hasSqlState(cause, SQL_STATE.insufficientPrivilege)
  return new ListenqlError(
    'DATABASE_FAILED',
    denied ? `the server's login may not read the event log` : 'the event log could not be read',
    {
      hint: denied
        ? 'the owner of schema listenql may allow it: listenql install --grant-to LOGIN'
        : 'try again; the log of the server has the reason',
      cause,
    },
  )
}

function stopping(): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'the server is stopping', { hint: 'try again' })
}
