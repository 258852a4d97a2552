import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { ListenqlError } from '../../lib/errors.js'
import type { View } from '../../rls/visibility.js'
import type { Present } from './present.js'
import type { PresentRows } from './told-rows.js'
import type { Interest } from './waiting-event.js'

/** What a viewer may see of some events. */
export interface VisibleEvents {
  /** For each event, in order, the rows that the policies allow; the others are null. */
  readonly images: readonly Images[]
  /** The rows of these events as they are now. Undefined: no policy reads the table itself. */
  readonly present: PresentRows | undefined
}

/** What a viewer sees, or the error that prevented the check. */
export type StageView = VisibleEvents | ListenqlError

export interface StageViewOptions {
  /** Undefined: no policy reads the table itself. */
  readonly present: Present | undefined
  readonly table: WatchedTable
  /** The events that the policies have been asked about. */
  readonly events: readonly Interest[]
  /** Ends the reading of present rows. */
  readonly signal: AbortSignal
}

/**
 * Completes the policies' answer for a viewer with the present rows, where policies read the table itself.
 * @returns takes a viewer, its key and the answer. It returns a promise if the answer is one, or if present rows must be read; the
 * promise rejects with the answer's rejection, or if reading fails other than with a ListenqlError
 */
export function createStageViews({ present, table, events, signal }: StageViewOptions) {
  async function read(viewer: Viewer, key: string, images: readonly Images[]): Promise<StageView> {
    const mine = events.filter(({ subscriptions }) =>
      subscriptions.some(subscription => subscription.key === key && !subscription.hasLeft),
    )
    const wanted = mine.flatMap(({ images: { row, old } }) => row ?? old ?? [])
    try {
      return { images, present: await present?.rows(table, viewer, wanted, signal) }
    } catch (error) {
      if (error instanceof ListenqlError) return error
      throw error
    }
  }

  function viewOf(viewer: Viewer, key: string, view: View): StageView | Promise<StageView> {
    if (view instanceof ListenqlError) return view
    // Checked after the answer: with it, a policy may have read the table for the first time.
    if (!present?.isNeeded(table, viewer)) return { images: view, present: undefined }
    const isTold = events.some(({ subscriptions }) =>
      subscriptions.some(({ key: of, told, hasLeft }) => of === key && told && !hasLeft),
    )
    // Without `told`, subscriptions end when they meet present rows: an empty map is enough.
    return isTold ? read(viewer, key, view) : { images: view, present: new Map() }
  }

  return function stageView(
    viewer: Viewer,
    key: string,
    view: View | Promise<View>,
  ): StageView | Promise<StageView> {
    const whole =
      view instanceof Promise ? view.then(one => viewOf(viewer, key, one)) : viewOf(viewer, key, view)
    if (whole instanceof Promise) whole.catch(() => undefined) // the queue may have stopped waiting for it
    return whole
  }
}
