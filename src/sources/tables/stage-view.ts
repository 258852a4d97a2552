import { type Viewer, viewerKey } from '../../auth/viewer.js'
import type { Images } from '../../filters/images.js'
import { ListenqlError } from '../../lib/errors.js'
import { type CheckVisibility, type View, viewsOf } from '../../rls/visibility.js'
import type { PresentRows } from './delivered-rows.js'
import type { Present } from './present.js'
import type { Interest, WaitingEvent } from './waiting-event.js'

/** The rows of some events that a viewer may see. */
export interface VisibleEvents {
  /** For each event, in order, its images; a row that the policies hide is null. */
  readonly images: readonly Images[]
  /** The present versions of the rows of these events. Undefined: no policy reads the table itself. */
  readonly present: PresentRows | undefined
}

/** The rows that a viewer may see, or the error that prevented the check. */
export type StageView = VisibleEvents | ListenqlError

/**
 * Checks the policies for some viewers on some events, each of which concerns a subscription, and completes the answers with the
 * present rows if policies read the table itself.
 * @returns the answer for each viewer, by its key. A promise if the policies take long, or if present rows must be read. It rejects
 * if that fails with an error that is not a ListenqlError
 */
export type StageViews = (
  viewers: readonly Viewer[],
  checked: readonly WaitingEvent[],
) => Promise<ReadonlyMap<string, StageView | Promise<StageView>>>

export interface StageViewsOptions {
  readonly checkVisibility: CheckVisibility
  /** Undefined: no policy reads the table itself. */
  readonly present: Present | undefined
  /** Aborts the checks. */
  readonly signal: AbortSignal
}

export function createStageViews({ checkVisibility, present, signal }: StageViewsOptions): StageViews {
  async function withPresentRows(
    viewer: Viewer,
    key: string,
    images: readonly Images[],
    events: readonly Interest[],
  ): Promise<StageView> {
    const mine = events.filter(({ subscriptions }) =>
      subscriptions.some(subscription => subscription.key === key && !subscription.hasLeft),
    )
    const { table } = events[0] as Interest
    const wanted = mine.flatMap(({ images: { row, old } }) => row ?? old ?? [])
    try {
      return { images, present: await present?.rows(table, viewer, wanted, signal) }
    } catch (error) {
      if (error instanceof ListenqlError) return error
      throw error
    }
  }

  function complete(
    viewer: Viewer,
    key: string,
    view: View,
    events: readonly Interest[],
  ): StageView | Promise<StageView> {
    if (view instanceof ListenqlError) return view
    // Checked after the answer, because a policy may have been found to read the table while it was computed.
    if (!present?.isNeeded((events[0] as Interest).table, viewer)) return { images: view, present: undefined }
    const isNeeded = events.some(({ subscriptions }) =>
      subscriptions.some(({ key: of, delivered, hasLeft }) => of === key && delivered && !hasLeft),
    )
    // A subscription without `delivered` ends as soon as there are present rows, so an empty map suffices.
    return isNeeded ? withPresentRows(viewer, key, view, events) : { images: view, present: new Map() }
  }

  return async (viewers, checked) => {
    const events = checked.map(({ interest }) => interest as Interest)
    const { table } = events[0] as Interest
    const byKey = new Map(viewers.map(viewer => [viewerKey(viewer, true), viewer]))
    const views = new Map<string, StageView | Promise<StageView>>()
    for (const [key, view] of await viewsOf(checkVisibility, table, viewers, events, signal)) {
      const viewer = byKey.get(key) as Viewer
      const whole =
        view instanceof Promise
          ? view.then(one => complete(viewer, key, one, events))
          : complete(viewer, key, view, events)
      if (whole instanceof Promise) whole.catch(() => undefined) // the queue may have stopped waiting for it
      views.set(key, whole)
    }
    return views
  }
}
