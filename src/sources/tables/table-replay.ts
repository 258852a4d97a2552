import { abortable } from '../../lib/abort.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import { hole } from '../../log/log-topics.js'
import { comparePositions, latest, type Position } from '../../log/position.js'
import type { Replay } from '../resume.js'
import type { AuthorisedChangesRequest } from './changes-request.js'
import { begunAnew } from './history-errors.js'
import type { KnownTables } from './known-tables.js'
import type { PageChanges } from './page-changes.js'
import type { RowChange } from './row-change.js'

export interface TableReplaysOptions {
  readonly log: Pick<LogFollower, 'position' | 'read' | 'reached'>
  readonly known: Pick<KnownTables, 'table' | 'beginning' | 'switched'>
  /** See TablesOptions. */
  readonly refresh: ((relid: string, generation: number) => Promise<number | undefined>) | undefined
  /** Whether the log has been dispatched up to the beginnings of all tables' histories. */
  readonly isReached: () => boolean
  /** Aborts when the tables are closed; ends every wait. */
  readonly signal: AbortSignal
}

export interface TableReplayOptions {
  readonly relid: string
  readonly changesOf: PageChanges
  /** Every live event up to here has been delivered to the subscription. Undefined: the log has not been read yet. */
  readonly live: () => Position | undefined
  readonly recheck: AuthorisedChangesRequest['recheck']
}

/** What a page has of one table. Subscribers that share the page share it. */
interface PageSummary {
  /** The first event of the newest generation. Undefined: the page has no event of the table. */
  readonly newest: LogEvent | undefined
  readonly hasHole: boolean
}

function summarise(events: readonly LogEvent[], relid: string): PageSummary {
  let newest: LogEvent | undefined
  let hasHole = false
  for (const event of events) {
    if (event.kind !== 't' || event.topic !== relid) continue
    if (!newest || event.generation > newest.generation) newest = event
    if (event.unreadable !== undefined) hasHole = true
  }
  return { newest, hasHole }
}

/**
 * The past of tables. A page holds only events of the table's present history: a cursor before its beginning is refused, also if the
 * history begins anew while the page is read.
 */
export function createTableReplays({ log, known, refresh, isReached, signal: over }: TableReplaysOptions) {
  /** The newest generation of each table that a refresh of the catalogue has not found. */
  const unknown = new Map<string, number>()
  const pageTimes = new WeakMap<readonly LogEvent[], number>()

  /** A time after the page was read (`performance.now()`), the same for every subscriber that shares the page. */
  function readAt(page: readonly LogEvent[]): number {
    const time = pageTimes.get(page) ?? performance.now()
    pageTimes.set(page, time)
    return time
  }

  /** Whether the columns of an event are not known yet, because it has not been dispatched live. */
  function isAhead({ generation, position }: LogEvent, relid: string): boolean {
    const present = known.table(relid)?.generation
    return (
      present !== undefined &&
      generation > present &&
      log.position !== undefined &&
      comparePositions(position, log.position) > 0
    )
  }

  /**
   * Whether a past event has a generation that no server has noticed, as of a partition that was attached and detached while no
   * server ran. The history has ended at such an event.
   */
  async function isUnnoticed(
    { generation }: LogEvent,
    relid: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const present = known.table(relid)?.generation
    if (!refresh || present === undefined || generation <= Math.max(present, unknown.get(relid) ?? 0))
      return false
    const now = await refresh(relid, generation)
    if (now === undefined) return true
    if (now >= generation) {
      // The client subscribes again as soon as it gets the error, and must then find the new history.
      while (!over.aborted && (known.table(relid)?.generation ?? now) < generation)
        await abortable(known.switched, signal)
      return true
    }
    unknown.set(relid, generation) // the login may not refresh the catalogue: the former columns are used
    return false
  }

  return ({ relid, changesOf, live, recheck }: TableReplayOptions): Replay<RowChange> => {
    const position = () => live() ?? known.beginning(relid)
    const summaries = new WeakMap<readonly LogEvent[], PageSummary>()
    const summaryOf = (events: readonly LogEvent[]) => {
      const summary = summaries.get(events) ?? summarise(events, relid)
      summaries.set(events, summary)
      return summary
    }
    const assertAfter = (after: Position) => {
      if (comparePositions(after, known.beginning(relid)) < 0) throw begunAnew()
    }
    return {
      position,
      start() {
        const begins = known.beginning(relid)
        const at = live() ?? begins
        // An altered table is switched at the first event with the new columns, which may precede the beginning of the new history.
        // Until the log has been dispatched up to that beginning, and no event waits for policies, the beginning is ahead of what has
        // been delivered.
        const isBehind = log.position !== undefined && comparePositions(at, log.position) < 0
        return isReached() && !isBehind ? (latest(at, begins) as Position) : at
      },
      async read(after, signal, account) {
        for (;;) {
          assertAfter(after)
          const page = await log.read(after, signal)
          const { newest, hasHole } = summaryOf(page.events)
          // Authorised by rights that are no older than the page.
          if (recheck && newest) await recheck(readAt(page.events), signal)
          assertAfter(after) // the table may have been altered while the page was read
          if (hasHole) throw hole()
          if (!newest) return { ...page, events: [] }
          if (isAhead(newest, relid)) await log.reached(newest.position, signal)
          else if (await isUnnoticed(newest, relid, signal)) throw begunAnew()
          else return { ...page, events: await changesOf(page.events, signal, account) }
        }
      },
      seam: () => [],
    }
  }
}
