import type { Account } from '../lib/limits/account.js'
import { comparePositions, type Position } from '../log/position.js'

/*
 * The seam between the log and the live stream, for every reader that starts in the past. It guarantees that the reader gets each
 * event exactly once. The reader reads page after page of the log (`pagesAfter`) until it has caught up with the live stream, joins
 * the live stream (`joinIfLevel`), and skips the live events that it has already read from the log (`wasReplayed`).
 *
 * Invariant: when a reader joins, the live position is not past the position up to which the reader has read the log. Both are
 * compared in the same synchronous step as the join, so no event falls between the log and the live stream. The reader may be
 * ahead of the live stream; then the events in between arrive a second time, and are skipped.
 */

export interface ReplayPage<Event> {
  readonly events: readonly Event[]
  /** Everything at or before it has been read. */
  readonly position: Position
  /** The number of the history that the log had when the read began, see `Replay`. */
  readonly history?: number | undefined
}

/** Reads the past of a source, for subscribers that resume. */
export interface Replay<Event> {
  /** The live position: every live event up to here has been delivered or is held back (see `start`), and none after it. */
  position(): Position
  /**
   * Number of the history of `position()`. A failover or a restore begins another history, and positions of two histories cannot
   * be compared. Undefined: the source ends with its history.
   */
  readonly history?: number | undefined
  /**
   * The position of a subscriber that has received everything so far: `position()`, or the beginning of the history if that is later.
   * While the source holds events back, the position before them.
   */
  start(): Position
  /**
   * Reads the page after a position. A page of the log holds events of all topics, so it may hold none of this one.
   * @param account pays for the work of filtering. Default: the work is not counted
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; LIMIT_EXCEEDED if filtering takes too much work
   */
  read(after: Position, signal?: AbortSignal, account?: Account): Promise<ReplayPage<Event>>
  /** Events that a subscriber gets between the past and the live events. */
  seam(): readonly Event[]
  /**
   * A subscriber that has read the past up to a position joins the live events. No live event may combine changes before and after
   * that position: the subscriber would skip it, or get a part of it again. Default: each live event is one change.
   */
  split?(at: Position): void
}

/**
 * Endless pages: each is read when it is requested, and begins where the previous one ended.
 * @param first the page after `after`, if it has already been read
 */
export async function* pagesAfter<Page extends { readonly position: Position }>(
  after: Position,
  read: (after: Position) => Promise<Page>,
  first?: Page,
): AsyncGenerator<Page, never> {
  for (let page = first ?? (await read(after)); ; page = await read(page.position)) yield page
}

/** The live position, if a page is of the same history. Undefined: the page's history has ended. */
export function livePositionIn(
  replay: Pick<Replay<unknown>, 'position' | 'history'>,
  { history }: Pick<ReplayPage<unknown>, 'history'>,
): Position | undefined {
  return replay.history === history ? replay.position() : undefined
}

/**
 * Joins the live stream if the reader has read the log at least up to the live position.
 * @param read the position up to which the reader has read the log
 * @param livePosition the live position. Undefined: unknown, so the reader does not join
 * @param join makes the reader get live events from now on. Synchronous, because the comparison holds for this step only
 * @returns whether the reader has joined; if not, it needs the next page
 */
export function joinIfLevel(
  read: Position,
  livePosition: () => Position | undefined,
  join: () => undefined,
): boolean {
  const live = livePosition()
  if (!live || comparePositions(read, live) < 0) return false
  join()
  return true
}

/** A reader that has joined the live stream. */
export interface JoinedReader {
  /** The position up to which it has read the log. Undefined once the live stream has passed that. */
  seen: Position | undefined
}

/**
 * Whether the reader has already read the next live event from the log, and so must skip it.
 * @param position position of the event. Undefined: the event is not in the log (a plain NOTIFY), so it must not be skipped
 * @param endsHistory whether the event ends the history that was read; nothing of the next history has been read
 */
export function wasReplayed(
  reader: JoinedReader,
  position: Position | undefined,
  endsHistory: boolean,
): boolean {
  if (endsHistory) reader.seen = undefined
  if (!reader.seen || !position) return false
  if (comparePositions(position, reader.seen) <= 0) return true
  reader.seen = undefined
  return false
}
