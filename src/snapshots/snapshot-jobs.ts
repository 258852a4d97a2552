import type { ListenqlError } from '../lib/errors.js'
import type { PlanRow } from '../plan/plan-result.js'
import { notRead, waitedTooLong } from './snapshot-errors.js'
import type { SnapshotQuery } from './snapshot-query.js'
import type { Snapshot } from './snapshot-request.js'

/** How often a read is tried before it fails. */
const READ_TRIES = 5

/** One request for a snapshot. */
export interface Job {
  readonly query: SnapshotQuery
  readonly isSettled: boolean
  /** Whether the read is known to be quick, so that a cutting transaction may read by itself. */
  readonly isQuick: boolean
  resolve(snapshot: Snapshot): void
  reject(error: unknown): void
  /** The read begins: from now on, Postgres enforces the time limit. */
  started(): void
  /** The cutting transaction cannot read it. */
  notQuick(): void
  /** Waits for another read. False: the job has failed. */
  again(): boolean
}

/** Jobs for the same rows, which are read once. */
export interface Work {
  readonly query: SnapshotQuery
  readonly jobs: readonly Job[]
}

/** Result of a read: rows, a reason to read again in a later snapshot, or an error for the client. */
export type Outcome =
  | { readonly kind: 'rows'; readonly rows: readonly PlanRow[] }
  | { readonly kind: 'again'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: ListenqlError }

export interface JobOptions {
  /** Longest wait before the read begins, in ms. */
  readonly patience: number
  readonly signal: AbortSignal | undefined
  readonly isQuick: boolean
}

export function createJob(
  query: SnapshotQuery,
  options: JobOptions,
): { job: Job; promise: Promise<Snapshot> } {
  const { patience, signal } = options
  const { table } = query
  let { isQuick } = options
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
    query,
    get isSettled() {
      return isSettled
    },
    get isQuick() {
      return isQuick
    },
    resolve: snapshot => settle() && resolve(snapshot),
    reject: error => settle() && reject(error),
    started: () => clearTimeout(timer),
    notQuick() {
      isQuick = false
    },
    again() {
      if (!isSettled && ++tries >= READ_TRIES) {
        job.reject(notRead(table))
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
  const works = new Map<string, Job[]>()
  for (const job of jobs) {
    const together = works.get(job.query.key)
    if (together) together.push(job)
    else works.set(job.query.key, [job])
  }
  return [...works.values()].map(together => ({ query: (together[0] as Job).query, jobs: together }))
}
