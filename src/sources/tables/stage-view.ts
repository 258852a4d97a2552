import type { Viewer } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { ListenqlError } from '../../lib/errors.js'
import type { View } from '../../rls/visibility.js'
import type { PresentRows } from './delivered-rows.js'
import type { Present } from './present.js'
import type { Interest } from './waiting-event.js'

/** The rows of some events that a viewer may see. */
export interface VisibleEvents {
  /** For each event, in order, its images; a row that the policies hide is null. */
  readonly images: readonly Images[]
  /** The present versions of the rows of these events. Undefined: no policy reads the table itself. */
  readonly present: PresentRows | undefined
}

/** The rows that a viewer may see, or the error that prevented the check. */
export type StageView = VisibleEvents | ListenqlError

export interface StageViewOptions {
  /** Undefined: no policy reads the table itself. */
  readonly present: Present | undefined
  readonly table: WatchedTable
  /** The events for which the policies have been checked. */
  readonly events: readonly Interest[]
  /** Aborts the reading of present rows. */
  readonly signal: AbortSignal
}

/**
 * Completes the policies' answer for a viewer with the present rows, if policies read the table itself.
 * @returns a function of a viewer, its key and the answer. It returns a promise if the answer is one, or if present rows must be
 * read. The promise rejects with the answer's rejection, or if reading fails with an error that is not a ListenqlError
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
    // Checked after the answer, because a policy may have been found to read the table while it was computed.
    if (!present?.isNeeded(table, viewer)) return { images: view, present: undefined }
    const isNeeded = events.some(({ subscriptions }) =>
      subscriptions.some(({ key: of, delivered, hasLeft }) => of === key && delivered && !hasLeft),
    )
    // A subscription without `delivered` ends as soon as there are present rows, so an empty map suffices.
    return isNeeded ? read(viewer, key, view) : { images: view, present: new Map() }
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
