import type { LogEvent } from './log-event.js'
import type { Page } from './log-queries.js'
import type { Position } from './position.js'

/*
 * The middle of listenql: every event of the log passes through this loop, in the one order of the log.
 *
 * - The columns of a table change between two events, at the event from which on rows have the new ones.
 * - The position moves in the same synchronous step in which an event is dispatched: at any moment, everything up to the
 *   position has been dispatched, and nothing after it.
 * - A page holds committed events only.
 */

export interface PumpOptions {
  /** The pages of the log, each of which begins where the one before ended. */
  readonly pages: AsyncIterable<Page>
  readonly checkpoint: Checkpoint
  readonly flow: Flow
  /** Delivers an event to the followers of its topic. Synchronous. */
  readonly dispatch: (event: LogEvent) => void
  /** Called with the position of the event in the same step as `dispatch`, and with that of the page at the end of the page. */
  readonly moveTo: (position: Position) => void
  readonly signal: AbortSignal
}

/** What happens at a certain place in the log. The log waits for the promises, if there are any. */
export interface Checkpoint {
  /** The log is read after this: what was known before the call is known of everything that the page may hold. */
  beforePull(): void
  /** These events have been read, and are about to be dispatched. */
  authorise?(events: readonly LogEvent[]): Promise<void> | undefined
  /** This event is dispatched next: columns that it was made with take effect. */
  advanceTo(event: LogEvent): Promise<void> | undefined
  /**
   * Everything that was in the log at the last `beforePull` has been dispatched.
   * @param isRead false: the log could not be read, since there is none, or the login may not read it
   */
  caughtUp(isRead: boolean): Promise<void> | undefined
}

/** When events may be dispatched. */
export interface Flow {
  /** A page begins. */
  begin(): void
  /** Called before each event. Undefined: at once. Otherwise resolves when other work has had its turn, and nothing is paused. */
  ready(): Promise<void> | undefined
}

/** Resolves when the pages end, or the signal aborts. Rejects with what the pages or the checkpoint reject with. */
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
      if (advanced) await advanced // not for every event: each await costs a microtask
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
