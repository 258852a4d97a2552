import type { Viewer } from '../../auth/viewer.js'
import type { Images } from '../../filters/images.js'
import { Work } from '../../filters/index.js'
import { abortable } from '../../lib/abort.js'
import type { Account } from '../../lib/limits/account.js'
import type { LogEvent } from '../../log/log-event.js'
import { type CheckVisibility, createBatchedView, type ReadEvent } from '../../rls/visibility.js'
import { type ChangeView, viewAt, viewVisible } from './change-view.js'
import { createDeliverableView } from './deliverable-view.js'
import { deliverableOfPast } from './delivered-rows.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import type { RowChange } from './row-change.js'

/** Turns a page of the log into the changes that one subscription gets. */
export type PageChanges = (
  page: readonly LogEvent[],
  signal: AbortSignal | undefined,
  account: Account | undefined,
) => Promise<readonly RowChange[]>

export interface PageReaderOptions {
  readonly known: Pick<KnownTables, 'table' | 'readPage'>
  readonly checkVisibility: CheckVisibility
  /** Undefined: no policy reads its own table. */
  readonly present: Present | undefined
  /** Most steps that a filter may take for one event. */
  readonly maxFilterWork: number
  /** Aborts the checks of policies. */
  readonly signal: AbortSignal
}

/** After this many filter steps other work gets a turn: a page may hold many events, and a filter may search long texts. */
const STEPS_PER_TURN = 1_000_000

/** Turns pages of the log into changes, for subscriptions that resume. Subscriptions that read the same page share the work. */
export function createPageReader({
  known,
  checkVisibility,
  present,
  maxFilterWork,
  signal,
}: PageReaderOptions) {
  const see = createBatchedView(checkVisibility, signal)

  /** @param keep called with the changes in the step that has made the last one */
  async function viewAll<Each extends ReadEvent>(
    events: Iterable<Each>,
    viewOne: (each: Each, work: Work) => RowChange | undefined,
    keep?: (changes: RowChange[]) => void,
  ): Promise<RowChange[]> {
    const changes: RowChange[] = []
    const work = new Work(maxFilterWork)
    let steps = 0
    for (const each of events) {
      work.begin()
      const change = viewOne(each, work)
      if (change) changes.push(change)
      steps += work.steps
      if (steps < STEPS_PER_TURN) continue
      steps = 0
      await new Promise(resolve => setImmediate(resolve))
    }
    keep?.(changes)
    return changes
  }

  /** Without row-level security. */
  function changesOf(relid: string, view: ChangeView): PageChanges {
    /** Subscriptions of a group that read the same page get the same objects, so that the group renders each change once. */
    const changes = new WeakMap<LogEvent, { readonly change: RowChange | undefined }>()
    const ofPages = new WeakMap<readonly ReadEvent[], readonly RowChange[]>()
    return async (page, _signal, account) => {
      const events = known.readPage(relid, page)
      const made = ofPages.get(events)
      if (made) return made
      return viewAll(
        events,
        ({ event, images }, work) => {
          let seen = changes.get(event)
          if (!seen) {
            seen = { change: viewAt(account, view, event, images, work) }
            changes.set(event, seen)
          }
          return seen.change
        },
        // Not the promise: where one subscriber has no work left to pay with, the others go on.
        all => ofPages.set(events, all),
      )
    }
  }

  /** Under the row-level security of a viewer. */
  function changesFor(viewer: Viewer, relid: string, view: ChangeView): PageChanges {
    const pending = new WeakMap<readonly LogEvent[], Promise<RowChange[]>>()
    const viewDeliverable = createDeliverableView(view)

    async function readChanges(
      page: readonly LogEvent[],
      account: Account | undefined,
    ): Promise<RowChange[]> {
      const events = known.readPage(relid, page)
      const table = known.table(relid)
      if (!table || !events.some(({ event, images }) => view.matcher.mayConcern(event, images))) return []
      const seen = await see(table, viewer, events)
      const visible = events.map((each, i) => ({ ...each, seen: seen[i] as Images }))
      if (!present?.isNeeded(table, viewer))
        return viewAll(visible, (each, work) => viewVisible(account, view, each.event, each.seen, work))
      const images = events.flatMap(({ images: { row, old } }) => row ?? old ?? [])
      const rows = await present.rows(table, viewer, images, signal)
      const readable = await present.readable(table, viewer)
      const deliverables = visible.map(each => ({
        ...each,
        deliverable: deliverableOfPast(table.key, readable, each.images, each.seen, rows),
      }))
      return viewAll(deliverables, (each, work) =>
        viewDeliverable(account, each.event, each.images, each.deliverable, work),
      )
    }

    return (page, signal, account) => {
      const changes = pending.get(page) ?? readChanges(page, account).finally(() => pending.delete(page))
      pending.set(page, changes)
      return abortable(changes, signal)
    }
  }

  return { changesOf, changesFor }
}
