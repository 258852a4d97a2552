import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { Images } from '../filters/images.js'
import type { RowImage } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import type { LogEvent } from '../log/log-event.js'
import type { RowCondition } from './conditions/viewer-condition.js'

/** An event of a table with its parsed images. */
export interface ReadEvent {
  readonly event: LogEvent
  readonly images: Images
}

/** For each image whether it is visible to a viewer, or the error that prevented the check. */
export type Visibility = readonly boolean[] | ListenqlError

/**
 * Returns the visibility for each viewer, by `viewerKey` with claims; a promise of it for a viewer whose policies are slow or wait
 * for a lock, so that it does not delay the others. Every viewer needs a role. Waits while the database is down, until the signal
 * aborts; then it rejects with the signal's reason.
 */
export type CheckVisibility = (
  table: WatchedTable,
  viewers: readonly Viewer[],
  images: readonly RowImage[],
  signal?: AbortSignal,
) => Promise<ReadonlyMap<string, Visibility | Promise<Visibility>>>

/**
 * The conditions that decide in place of `CheckVisibility` about rows that were read before the call, by role. A role that is left out
 * needs the database. Undefined: all of these roles need it. Rejects only with the reason of the signal.
 */
export type ReadConditions = (
  table: WatchedTable,
  roles: Iterable<string>,
  signal?: AbortSignal,
) => Promise<ReadonlyMap<string, RowCondition>> | undefined

/** What a viewer sees of each event, in order. Both images are null where the viewer sees nothing. */
export type View = readonly Images[] | ListenqlError

/** The same by viewer. */
export type Views = ReadonlyMap<string, View | Promise<View>>

/** Checks all images of some events of one table at once. */
export async function viewsOf(
  checkVisibility: CheckVisibility,
  table: WatchedTable,
  viewers: readonly Viewer[],
  events: readonly ReadEvent[],
  signal: AbortSignal,
): Promise<Views> {
  const rows = events.flatMap(({ images: { row, old } }) => [row, old].filter(image => image !== null))
  const verdicts = await checkVisibility(table, viewers, rows, signal)
  const viewOf = (verdict: Visibility): View =>
    verdict instanceof ListenqlError ? verdict : imagesSeen(events, verdict)
  const views = new Map<string, View | Promise<View>>()
  for (const [key, verdict] of verdicts) {
    if (!(verdict instanceof Promise)) views.set(key, viewOf(verdict))
    else {
      const view = verdict.then(viewOf)
      view.catch(() => undefined) // the viewer may have left
      views.set(key, view)
    }
  }
  return views
}

const NOTHING: Images = { row: null, old: null }

function imagesSeen(events: readonly ReadEvent[], verdict: readonly boolean[]): Images[] {
  let at = 0
  return events.map(({ images }) => {
    const row = images.row !== null && verdict[at++] === true
    const old = images.old !== null && verdict[at++] === true
    if (!row && !old) return NOTHING
    return { row: row ? images.row : null, old: old ? images.old : null }
  })
}

interface Asking {
  readonly viewers: Viewer[]
  readonly views: Promise<Views>
}

/**
 * Checks one viewer at a time, as resuming subscribers need it. Checks of the same events in the same moment are combined; the
 * events are the same if their array is.
 */
export function createBatchedView(checkVisibility: CheckVisibility, signal: AbortSignal) {
  const asking = new WeakMap<readonly ReadEvent[], Asking>()
  return async function see(
    table: WatchedTable,
    viewer: Viewer,
    events: readonly ReadEvent[],
  ): Promise<readonly Images[]> {
    let joint = asking.get(events)
    if (!joint) {
      const viewers: Viewer[] = []
      const views = new Promise(resolve => setImmediate(resolve)).then(() => {
        asking.delete(events)
        return viewsOf(checkVisibility, table, viewers, events, signal)
      })
      joint = { viewers, views }
      asking.set(events, joint)
    }
    joint.viewers.push(viewer)
    const seen = await (await joint.views).get(viewerKey(viewer, true))
    if (seen === undefined) throw new TypeError('a viewer was forgotten')
    if (seen instanceof ListenqlError) throw seen
    return seen
  }
}
