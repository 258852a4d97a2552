import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { ListenqlError } from '../../lib/errors.js'
import type { View } from '../../rls/visibility.js'
import type { Present } from './present.js'
import type { PresentRows } from './told-rows.js'
import type { Interest } from './waiting-event.js'

/** What the policies let a viewer see of some events, in their order. */
export interface VisibleEvents {
  readonly images: readonly Images[]
  /** Where they read the table itself: the rows of these events as they are by now. */
  readonly present: PresentRows | undefined
}

/** What a viewer sees, or why that is not to be had. */
export type StageView = VisibleEvents | ListenqlError

export interface StageViewOptions {
  readonly present: Present | undefined
  readonly table: WatchedTable
  /** Those that the views are of. */
  readonly events: readonly Interest[]
  readonly signal: AbortSignal
}

/** Adds the present rows to what the policies have answered; a promise where these are to be read or the answer is to come. */
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
    // Only now: the policies may have read the table for the first time.
    if (!present?.isNeeded(table, viewer)) return { images: view, present: undefined }
    const isTold = events.some(({ subscriptions }) =>
      subscriptions.some(({ key: of, told, hasLeft }) => of === key && told && !hasLeft),
    )
    // Subscriptions that were not begun for this end: they need no rows.
    return isTold ? read(viewer, key, view) : { images: view, present: new Map() }
  }

  return function stageView(
    viewer: Viewer,
    key: string,
    view: View | Promise<View>,
  ): StageView | Promise<StageView> {
    const whole =
      view instanceof Promise ? view.then(one => viewOf(viewer, key, one)) : viewOf(viewer, key, view)
    if (whole instanceof Promise) whole.catch(() => undefined) // it may not be waited for any more
    return whole
  }
}
