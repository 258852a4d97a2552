import type { Viewer } from '../../../auth/viewer.js'
import type { WatchedTable } from '../../../catalog/watched-table.js'
import type { Images } from '../../../filters/images.js'
import type { LogFollower } from '../../../log/log-follower.js'
import { hole } from '../../../log/log-topics.js'
import { comparePositions, type Position } from '../../../log/position.js'
import { pagesAfter } from '../../resume.js'
import { createDeliveredRows, type DeliveredRows } from '../delivered-rows.js'
import type { KnownTables } from '../known-tables.js'
import type { Present } from '../present.js'

export interface BeginDeliveredRowsOptions {
  readonly log: Pick<LogFollower, 'read'>
  readonly known: Pick<KnownTables, 'readPage'>
  readonly present: Present
  readonly table: WatchedTable
  readonly viewer: Viewer
  readonly signal: AbortSignal
}

/** The initial state of a subscription to a table whose policies read the table itself. */
export interface BegunDeliveredRows {
  readonly delivered: DeliveredRows
  /** The position of the snapshot of the rows that the viewer sees. */
  readonly position: Position
  /** To be called once the subscription follows the table. @param from events up to here are not passed to `delivered` */
  settle(from: Position | undefined): Promise<void>
}

/** @throws ListenqlError the errors of snapshots; `settle` those of `LogFollower.read`, and CURSOR_EXPIRED */
export async function beginDeliveredRows(options: BeginDeliveredRowsOptions): Promise<BegunDeliveredRows> {
  const { log, known, present, table, viewer, signal } = options
  const readable = await present.readable(table, viewer)
  const { keys, position } = await present.keys(table, viewer, signal)
  const delivered = createDeliveredRows({ key: table.key, readable, keys, position })

  /** The rows of the events after the snapshot, up to the first event that is passed to `delivered`. */
  async function changesUpTo(until: Position): Promise<Images[]> {
    const found: Images[] = []
    if (comparePositions(position, until) >= 0) return found
    for await (const page of pagesAfter(position, after => log.read(after, signal))) {
      for (const { event, images } of known.readPage(table.relid, page.events)) {
        if (comparePositions(event.position, until) > 0) break
        if (event.unreadable !== undefined) throw hole()
        found.push(images)
      }
      // Not at an empty page: it may be the read of another subscriber, from before the last of these events.
      if (comparePositions(page.position, until) >= 0) break
    }
    return found
  }

  return {
    delivered,
    position,
    async settle(from) {
      delivered.settle(from ? await changesUpTo(from) : [])
    },
  }
}
