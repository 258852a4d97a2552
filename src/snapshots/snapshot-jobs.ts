import type { ListenqlError } from '../lib/errors.js'
import type { PlanRow } from '../plan/plan-result.js'
import { notRead, waitedTooLong } from './snapshot-errors.js'
import type { SnapshotQuery } from './snapshot-query.js'
import type { Snapshot } from './snapshot-request.js'

/** How often a read is tried before it fails. */
const READ_TRIES = 5

/** A read that takes at most this long is quick, in ms. */
const QUICK_MS = 50

/** One request for a snapshot. */
export interface Job {
  readonly query: SnapshotQuery
  readonly isSettled: boolean
  /** How long the read is expected to take, in ms. */
  readonly expected: number
  /** Whether the read may share a message with others. */
  readonly isQuick: boolean
  resolve(snapshot: Snapshot): void
  reject(error: unknown): void
  /** The read begins: from now on, Postgres enforces the time limit. */
  started(): void
  /** It will be read by itself, because it could not be read together with others. */
  readAlone(): void
  /** Waits for another read. False: the job has failed. */
  again(): boolean
}

/** Jobs for the same rows, which are read once. */
export interface Work {
  readonly query: SnapshotQuery
  readonly jobs: readonly Job[]
}

/** Reads each work by itself from now on, so that only the culprit fails. */
export function readAlone(works: readonly Work[]): void {
  for (const { jobs } of works) for (const job of jobs) job.readAlone()
}

/** Whether the work may be read in one message with others. */
export function isShareable({ jobs }: Work): boolean {
  return jobs.every(({ isQuick }) => isQuick)
}

/** How long the read of the work is expected to take, in ms. */
export function expectedOf({ jobs }: Work): number {
  return Math.max(...jobs.map(({ expected }) => expected))
}

/** The number of works at the beginning of a list that are expected to take this long together, in ms; at least one. */
export function countWithin(works: readonly Work[], budget: number): number {
  let sum = 0
  const end = works.findIndex(work => {
    sum += expectedOf(work)
    return sum > budget
  })
  return end === -1 ? works.length : Math.max(1, end)
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
  /** How long the read is expected to take, in ms. Undefined: it is not known. */
  readonly expected: number | undefined
}

export function createJob(
  query: SnapshotQuery,
  options: JobOptions,
): { job: Job; promise: Promise<Snapshot> } {
  const { patience, signal, expected = Number.POSITIVE_INFINITY } = options
  const { table } = query
  let isQuick = expected <= QUICK_MS
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
    expected,
    get isSettled() {
      return isSettled
    },
    get isQuick() {
      return isQuick
    },
    resolve: snapshot => settle() && resolve(snapshot),
    reject: error => settle() && reject(error),
    started: () => clearTimeout(timer),
    readAlone() {
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
