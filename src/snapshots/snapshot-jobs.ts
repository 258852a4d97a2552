import type { WatchedTable } from '../catalog/watched-table.js'
import { ListenqlError } from '../lib/errors.js'
import { timeWords } from '../lib/words.js'
import type { Snapshot, SnapshotRequest } from './snapshot-request.js'
import { type RowsQuery, rowsQuery } from './snapshot-sql.js'

/** How often a read is tried before it fails. */
const READ_TRIES = 5

/** One request for a snapshot. */
export interface Job {
  readonly table: WatchedTable
  readonly query: RowsQuery
  readonly isSettled: boolean
  resolve(snapshot: Snapshot): void
  reject(error: unknown): void
  /** The read begins: from now on, Postgres enforces the time limit. */
  started(): void
  /** Waits for another read. False: the job has failed. */
  again(): boolean
}

/** Jobs for the same rows of the same table, which are read once. */
export interface Work {
  readonly table: WatchedTable
  readonly query: RowsQuery
  readonly jobs: readonly Job[]
}

/**
 * @param patience longest wait before the read begins, in ms
 * @throws ListenqlError ARGUMENT_INVALID
 */
export function createJob(
  table: WatchedTable,
  request: SnapshotRequest,
  { patience, signal }: { readonly patience: number; readonly signal: AbortSignal | undefined },
): { job: Job; promise: Promise<Snapshot> } {
  const query = rowsQuery(table, request)
  const asked = performance.now()
  let tries = 0
  let isSettled = false
  let timer: NodeJS.Timeout | undefined
  let resolve: (snapshot: Snapshot) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<Snapshot>((done, failed) => {
    resolve = done
    reject = failed
  })
  const onAbort = () => job.reject(signal?.reason)

  function settle(): boolean {
    if (isSettled) return false
    isSettled = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    return true
  }
  function wait(): void {
    clearTimeout(timer)
    timer = setTimeout(() => job.reject(waitedTooLong(table, patience)), asked + patience - performance.now())
  }
  const job: Job = {
    table,
    query,
    get isSettled() {
      return isSettled
    },
    resolve: snapshot => settle() && resolve(snapshot),
    reject: error => settle() && reject(error),
    started: () => clearTimeout(timer),
    again() {
      if (!isSettled && ++tries >= READ_TRIES) {
        job.reject(
          new ListenqlError('DATABASE_FAILED', `table ${table.name} could not be read`, {
            hint: 'try again; the log of the server has the reason',
          }),
        )
      }
      if (!isSettled) wait()
      return !isSettled
    },
  }
  wait()
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  return { job, promise }
}

export function groupJobs(jobs: readonly Job[]): Work[] {
  const tables = new Map<WatchedTable, Map<string, Job[]>>()
  for (const job of jobs) {
    const works = tables.get(job.table) ?? new Map<string, Job[]>()
    tables.set(job.table, works)
    works.set(job.query.key, [...(works.get(job.query.key) ?? []), job])
  }
  return [...tables].flatMap(([table, works]) =>
    [...works.values()].map(together => ({ table, query: (together[0] as Job).query, jobs: together })),
  )
}

function waitedTooLong({ name }: WatchedTable, patience: number): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `table ${name} could not be read within ${timeWords(patience)}: too many other reads are in progress`,
    { hint: 'try again later' },
  )
}
