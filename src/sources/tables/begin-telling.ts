import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import type { LogFollower } from '../../log/log-follower.js'
import { hole } from '../../log/log-topics.js'
import { comparePositions, type Position } from '../../log/position.js'
import { pagesAfter } from '../resume.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import { createToldRows, type ToldRows } from './told-rows.js'

export interface BeginTellingOptions {
  readonly log: Pick<LogFollower, 'read'>
  readonly known: Pick<KnownTables, 'readPage'>
  readonly present: Present
  readonly table: WatchedTable
  readonly viewer: Viewer
  readonly signal: AbortSignal
}

/** What a subscription to a table whose policies read the table itself has been told: nothing yet. */
export interface BegunTelling {
  readonly told: ToldRows
  /** The position of the snapshot of what the viewer sees. */
  readonly position: Position
  /** To be called once the subscription follows the table. @param from events up to here are not passed to `told` */
  settle(from: Position | undefined): Promise<void>
}

/** @throws ListenqlError the errors of snapshots; `settle` those of `LogFollower.read`, and CURSOR_EXPIRED */
export async function beginTelling(options: BeginTellingOptions): Promise<BegunTelling> {
  const { log, known, present, table, viewer, signal } = options
  const readable = await present.readable(table, viewer)
  const { keys, position } = await present.keys(table, viewer, signal)
  const told = createToldRows({ key: table.key, readable, keys, position })

  /** The rows of the events after the snapshot, up to the first event that is passed to `told`. */
  async function changesUpTo(until: Position): Promise<Images[]> {
    const found: Images[] = []
    if (comparePositions(position, until) >= 0) return found
    for await (const page of pagesAfter(position, after => log.read(after, signal))) {
      for (const { event, images } of known.readPage(table.relid, page.events)) {
        if (comparePositions(event.position, until) > 0) break
        if (event.unreadable !== undefined) throw hole()
        found.push(images)
      }
      if (page.isLast || comparePositions(page.position, until) >= 0) break
    }
    return found
  }

  return {
    told,
    position,
    async settle(from) {
      told.settle(from ? await changesUpTo(from) : [])
    },
  }
}
