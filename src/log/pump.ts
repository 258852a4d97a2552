import type { LogEvent } from './log-event.js'
import type { Page } from './log-queries.js'
import type { Position } from './position.js'

/*
 * The middle of listenql: every event of the log passes through this loop, in the one order of the log. It guarantees:
 *
 * - The columns of a table change between two events: before the first event whose rows have the new columns.
 * - The position moves in the synchronous step that dispatches the event. So at any moment every event up to the position has
 *   been dispatched, and no event after it.
 * - Only committed events are dispatched, because a page holds only committed events.
 */

export interface PumpOptions {
  /** The pages of the log. Each page begins where the previous one ended. */
  readonly pages: AsyncIterable<Page>
  readonly checkpoint: Checkpoint
  readonly flow: Flow
  /** Delivers an event to the followers of its topic. Synchronous. */
  readonly dispatch: (event: LogEvent) => void
  /** Called with the event's position in the same step as `dispatch`, and with the page's position at the end of the page. */
  readonly moveTo: (position: Position) => void
  readonly signal: AbortSignal
}

/** What happens at certain places in the log. The pump waits for each promise that is returned. */
export interface Checkpoint {
  /** The next page is about to be read. What was known before this call is therefore older than the end of that page. */
  beforePull(): void
  /** These events have been read and are dispatched next. */
  authorise?(events: readonly LogEvent[]): Promise<void> | undefined
  /** This event is dispatched next: the columns that its rows have take effect now. */
  advanceTo(event: LogEvent): Promise<void> | undefined
  /**
   * Everything that was in the log at the last `beforePull` has been dispatched.
   * @param isRead false: nothing was read, because the database has no log or the server's login may not read it
   */
  caughtUp(isRead: boolean): Promise<void> | undefined
}

/** Decides when events may be dispatched. */
export interface Flow {
  /** A page begins. */
  begin(): void
  /**
   * Called before each event. Undefined: dispatch it now. Otherwise resolves once other work has had its turn and the flow is not
   * paused.
   */
  ready(): Promise<void> | undefined
}

/** Resolves when the pages end or the signal aborts. Rejects with the rejection of the pages or of the checkpoint. */
export async function pump({
  pages,
  checkpoint,
  flow,
  dispatch,
  moveTo,
  signal,
}: PumpOptions): Promise<void> {
  for await (const page of pages) {
    const authorised = page.events.length > 0 ? checkpoint.authorise?.(page.events) : undefined
    if (authorised) await authorised
    flow.begin()
    for (const event of page.events) {
      const advanced = checkpoint.advanceTo(event)
      if (advanced) await advanced // awaited only if needed: each await costs a microtask
      const ready = flow.ready()
      if (ready) await ready
      if (signal.aborted) return
      dispatch(event)
      moveTo(event.position)
    }
    if (signal.aborted) return
    moveTo(page.position)
    if (page.isLast) await checkpoint.caughtUp(true)
  }
}
