import type { WatchedTable } from '../../catalog/watched-table.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { Follower } from '../source.js'
import { beginTelling } from './begin-telling.js'
import type { ChangeView } from './change-view.js'
import type { AuthorisedChangesRequest } from './changes-request.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import type { RowChange } from './row-change.js'
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
  /** Ends what opening waits for. */
  readonly signal: AbortSignal | undefined
  /** The tables are closed; ends it, too. */
  readonly over: AbortSignal
}

/**
 * Follows the live changes of a table for as long as the right to them lasts. Where nothing has to be waited for, it follows in
 * the step of the call.
 * @throws ListenqlError the error of `guard` if the right is lost meanwhile, and those of `beginTelling`
 */
export async function openChanges(options: OpenChangesOptions): Promise<Followed> {
  const { log, known, feeds, present, table, request, view, follower } = options
  const { viewer, guard } = request
  const right: { lost?: ListenqlError; isUsed: boolean } = { isUsed: false }
  let followed: Followed | undefined

  // Guarded first: pages that are read from then on are authorised by rights that are known to be newer.
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
        ? await beginTelling({ log, known, present, table, viewer, signal: either(options) })
        : undefined
    assertRight()
    // What the snapshot has, a subscription that begins now does not need; what it was told of it before is unknown.
    const after = follower.goesOn ? undefined : begun?.position
    followed = feeds.follow(table.relid, { request, view, follower, viewer, told: begun?.told, after })
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
