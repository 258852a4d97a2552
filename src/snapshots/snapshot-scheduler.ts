import type pg from 'pg'
import { messageOf } from '../lib/errors.js'
import type { Position } from '../log/position.js'
import { PIN_VIEWS } from '../postgres/pinned-settings.js'
import { isStatementError } from '../postgres/sql-state.js'
import type { QuickReads } from './messages/quick-reads.js'
import { beginCut, exportSnapshot, hasWritten, SAVEPOINT } from './snapshot-cut.js'
import { cutRefused, unreachable } from './snapshot-errors.js'
import { type Job, readAlone, type Work } from './snapshot-jobs.js'
import type { SnapshotQueue } from './snapshot-queue.js'
import type { SnapshotReader } from './snapshot-reader.js'
import type { SnapshotReaders } from './snapshot-readers.js'
import type { ReadWorks } from './works-reader.js'

export interface SnapshotSchedulerOptions {
  /** A pool of one connection, which cuts. */
  readonly cutters: pg.Pool
  readonly queue: SnapshotQueue
  readonly reader: SnapshotReader
  readonly readers: SnapshotReaders
  /** Undefined: nothing is read in the message of a cut. */
  readonly quick: QuickReads | undefined
  readonly readAll: ReadWorks
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  readonly signal: AbortSignal
}

export interface SnapshotScheduler {
  /** Work may wait, or a connection may be free. */
  wake(): void
}

/** Most cuts without a read, in search of one that makes no batch, if the cutting transaction has to read by itself. */
const LONELY_CUT_TRIES = 5

/** After this many ms the server tries again whether snapshots can be exported. */
const EXPORT_RETRY_MS = 60_000

/**
 * Serves the requests that wait in the queue, one cut for all of them: what is quick in the message of the cut, the rest in other
 * sessions with its snapshot, or, if snapshots cannot be exported, in the cutting transaction itself.
 */
export function createSnapshotScheduler(options: SnapshotSchedulerOptions): SnapshotScheduler {
  const { cutters, queue, reader, readers, quick, readAll, queryTimeout, signal } = options
  /** Not under row-level security: policies may run functions of users, and this transaction may write. */
  const isForCutter = ({ isQuick, query }: Job) => quick !== undefined && isQuick && !query.viewer?.isSecured
  const isForReaders = (job: Job) => !isForCutter(job)
  let isCutting = false
  let noExportUntil = 0

  function wake(): void {
    if (isCutting || queue.isEmpty || signal.aborted) return
    if (readers.free === 0 && queue.works(isForCutter).length === 0) return
    isCutting = true
    void serve().finally(() => {
      isCutting = false
      wake()
    })
  }

  /** One cut, for all waiting requests. */
  async function serve(): Promise<void> {
    const works: Work[] = []
    let cutter: pg.PoolClient
    try {
      cutter = await cutters.connect()
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
    beginCut(cutter, { queryTimeout, signal, onTaking: () => queue.take(works, isForReaders) })

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

  return { wake }
}

/** A refusal of Postgres is not fatal here; a lost connection is. */
function unlessLost(error: unknown): undefined {
  if (!isStatementError(error)) throw error
}
