import { tableTitle } from '../catalog/watched-table.js'
import { type ListenqlError, messageOf } from '../lib/errors.js'
import type { Observe, ReadPurpose } from '../lib/observation.js'
import { stopping } from '../lib/stopping.js'
import type { Cursors } from '../log/cursors.js'
import type { Position } from '../log/position.js'
import { groupJobs, type Job, type Outcome, type Work } from './snapshot-jobs.js'
import type { Snapshot } from './snapshot-request.js'

export interface SnapshotQueueOptions {
  readonly cursors: Pick<Cursors, 'encode'>
  /** Called when jobs wait that were tried before. */
  readonly onWaiting: () => void
  /** Once it has aborted, every job fails. */
  readonly signal: AbortSignal
  /** What the rows are read for. */
  readonly purpose: ReadPurpose
  readonly observe: Observe | undefined
}

/**
 * The jobs that wait for a cut. Works are taken out for a read and come back with its result; then the queue settles their jobs, or
 * lets them wait for another read.
 */
export interface SnapshotQueue {
  readonly isEmpty: boolean
  add(job: Job): void
  /** The jobs that wait now, grouped. They stay in the queue. @param isMeant which jobs. Default: all */
  works(isMeant?: (job: Job) => boolean): readonly Work[]
  /**
   * Moves the jobs that wait now to those that were taken before, for a snapshot that is about to be taken.
   * @param isMeant which jobs. Default: all
   */
  take(works: Work[], isMeant?: (job: Job) => boolean): void
  /** Puts works back whose read has not begun. */
  putBack(works: readonly Work[]): void
  /** The read begins. @returns false: no client waits for it any more */
  begin(work: Work): boolean
  /** The read is done. @param position the one that the snapshot shows; @param duration of the read, in ms */
  conclude(work: Work, position: Position, outcome: Outcome, duration: number): void
  /** The read came to nothing: its jobs wait for another one, unless they were tried too often. */
  again(works: readonly Work[], reason: string): void
  fail(works: readonly Work[], error: ListenqlError): void
  /** Fails the jobs that wait. */
  close(): void
}

export function createSnapshotQueue(options: SnapshotQueueOptions): SnapshotQueue {
  const { cursors, onWaiting, signal, purpose, observe } = options
  const waiting: Job[] = []

  function report([job]: readonly Job[], message: string): void {
    if (job) observe?.({ type: 'snapshot.failed', table: tableTitle(job.query.table), message })
  }

  function again(works: readonly Work[], reason: string): void {
    const givenUp: Job[] = []
    for (const job of jobsOf(works)) {
      if (signal.aborted) job.reject(stopping())
      else if (job.again()) waiting.push(job)
      else givenUp.push(job)
    }
    report(givenUp, reason)
    onWaiting()
  }

  function fail(works: readonly Work[], error: ListenqlError): void {
    const jobs = jobsOf(works)
    const failure = signal.aborted ? stopping() : error
    if (error.code === 'DATABASE_FAILED' && !signal.aborted) report(jobs, messageOf(error.cause ?? error))
    for (const job of jobs) job.reject(failure)
  }

  return {
    get isEmpty() {
      return waiting.length === 0
    },
    add: job => void waiting.push(job),
    works: (isMeant = () => true) => groupJobs(waiting.filter(isMeant)),
    take(works, isMeant = () => true) {
      const all = waiting.splice(0)
      waiting.push(...all.filter(job => !isMeant(job)))
      const jobs = [...jobsOf(works), ...all.filter(isMeant)].filter(job => !job.isSettled)
      works.splice(0, works.length, ...groupJobs(jobs))
    },
    putBack: works => void waiting.unshift(...jobsOf(works)),
    begin({ jobs }) {
      for (const job of jobs) job.started()
      return jobs.some(job => !job.isSettled)
    },
    conclude(work, position, outcome, duration) {
      if (outcome.kind === 'again') return again([work], outcome.reason)
      if (outcome.kind === 'failed') return fail([work], outcome.error)
      const snapshot: Snapshot = { cursor: cursors.encode(position), position, rows: outcome.rows, duration }
      const { rows } = outcome
      observe?.({
        type: 'snapshot.read',
        purpose,
        took: duration,
        rows: rows.length,
        requests: work.jobs.length,
      })
      for (const job of work.jobs) job.resolve(snapshot)
    },
    again,
    fail,
    close() {
      for (const job of waiting.splice(0)) job.reject(stopping())
    },
  }
}

function jobsOf(works: readonly Work[]): Job[] {
  return works.flatMap(({ jobs }) => jobs)
}
