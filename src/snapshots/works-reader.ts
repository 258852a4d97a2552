import type pg from 'pg'
import { messageOf } from '../lib/errors.js'
import type { Position } from '../log/position.js'
import type { SecuredReads } from './messages/secured-reads.js'
import { countWithin, isShareable, type Outcome, readAlone, type Work } from './snapshot-jobs.js'
import type { SnapshotQueue } from './snapshot-queue.js'
import type { SnapshotReader } from './snapshot-reader.js'

export interface WorksReaderOptions {
  readonly queue: Pick<SnapshotQueue, 'again' | 'begin' | 'conclude'>
  readonly reader: SnapshotReader
  /** Undefined: each work is read by itself. */
  readonly secured: SecuredReads | undefined
  /** Sessions that take works from one list. */
  readonly readers: number
}

/**
 * Reads works from a list, which other sessions may share, until it is empty. The transaction shows the snapshot of that position.
 * @throws the error that ended the connection; its current works are put back
 */
export type ReadWorks = (client: pg.PoolClient, position: Position, works: Work[]) => Promise<void>

/**
 * Most reads under row-level security in one message, and longest that they are expected to take, in ms: their clients get the results
 * together.
 */
const MAX_TOGETHER = 20
const BUDGET_MS = 200

export function createWorksReader({ queue, reader, secured, readers }: WorksReaderOptions): ReadWorks {
  /** The next work, or several that may be read in one message; none if the list is empty. */
  function next(works: Work[]): Work[] {
    const share = Math.min(MAX_TOGETHER, Math.ceil(works.length / readers))
    const together = secured ? works.slice(0, share) : []
    const end = together.findIndex(work => !isTogether(work))
    if (end !== -1) together.length = end
    return works.splice(0, Math.max(1, Math.min(together.length, countWithin(together, BUDGET_MS))))
  }

  async function read(
    client: pg.PoolClient,
    works: readonly Work[],
  ): Promise<readonly Outcome[] | undefined> {
    const [first] = works
    if (first && works.length === 1) return [await reader.read(client, first.query)]
    return secured?.read(
      client,
      works.map(({ query }) => query),
    )
  }

  return async (client, position, works) => {
    while (works.length > 0) {
      const begun = next(works).filter(queue.begin)
      if (begun.length === 0) continue
      const began = performance.now()
      try {
        const outcomes = await read(client, begun)
        const duration = (performance.now() - began) / begun.length
        if (outcomes)
          for (const [i, work] of begun.entries())
            queue.conclude(work, position, outcomes[i] as Outcome, duration)
        else {
          readAlone(begun)
          works.unshift(...begun)
        }
      } catch (error) {
        if (begun.length > 1) readAlone(begun) // one of them may have ended the connection
        queue.again(begun, messageOf(error))
        throw error
      }
    }
  }
}

function isTogether(work: Work): boolean {
  return isShareable(work) && work.query.viewer?.isSecured === true
}
