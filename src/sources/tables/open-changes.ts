import type { WatchedTable } from '../../catalog/watched-table.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { Follower } from '../source.js'
import type { ChangeView } from './change-view.js'
import type { AuthorisedChangesRequest } from './changes-request.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import type { RowChange } from './row-change.js'
import { beginDeliveredRows } from './start/begin-delivered-rows.js'
import type { Followed } from './table-feed.js'
import type { TableFeeds } from './table-feeds.js'

export interface OpenChangesOptions {
  readonly log: Pick<LogFollower, 'read'>
  readonly known: KnownTables
  readonly feeds: Pick<TableFeeds, 'follow'>
  /** Undefined: no policy reads its own table. */
  readonly present: Present | undefined
  readonly table: WatchedTable
  readonly request: AuthorisedChangesRequest
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  /** Aborts opening. */
  readonly signal: AbortSignal | undefined
  /** Aborts when the tables are closed. */
  readonly over: AbortSignal
}

/**
 * Follows the live changes of a table while the viewer has the right to them; when the right is lost, the follower ends. If there is
 * nothing to wait for, it follows in the step of the call.
 * @throws ListenqlError the error of `guard` if the right is lost while opening, and the errors of `beginDeliveredRows`
 */
export async function openChanges(options: OpenChangesOptions): Promise<Followed> {
  const { log, known, feeds, present, table, request, view, follower } = options
  const { viewer, guard } = request
  const right: { lost?: ListenqlError; isUsed: boolean } = { isUsed: false }
  let followed: Followed | undefined

  // Guarded first: pages that are read from then on are authorised by rights that were read after them.
  const guarded = guard?.(error => {
    right.lost = error
    if (!right.isUsed) return
    followed?.stop()
    follower.end(error)
  })
  const close = () => {
    guarded?.stop()
    followed?.stop()
  }
  const assertRight = () => {
    if (right.lost) throw right.lost
  }

  try {
    if (guarded?.ready) await guarded.ready
    assertRight()
    const begun =
      viewer && present?.isNeeded(table, viewer)
        ? await beginDeliveredRows({ log, known, present, table, viewer, signal: either(options) })
        : undefined
    assertRight()
    // A subscription that begins now does not need events that the snapshot contains. One that continues a former source needs
    // those that this source has not delivered.
    const after = follower.continuesAfter ?? begun?.position
    followed = feeds.follow(table.relid, {
      request,
      view,
      follower,
      viewer,
      delivered: begun?.delivered,
      after,
    })
    if (begun) await begun.settle(followed.from)
    assertRight()
  } catch (error) {
    close()
    throw error
  }
  right.isUsed = true
  return { ...followed, stop: close }
}

function either({ signal, over }: OpenChangesOptions): AbortSignal {
  return signal ? AbortSignal.any([signal, over]) : over
}
