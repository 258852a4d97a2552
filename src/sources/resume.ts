import type { Account } from '../lib/limits/account.js'
import { comparePositions, type Position } from '../log/position.js'

/*
 * The seam between the log and the live stream, for every reader that starts in the past. The reader takes page after page
 * of the log (`pagesAfter`) until it is level, joins the live stream (`joinIfLevel`), and passes over the live events that
 * the log has served already (`wasServed`).
 *
 * Invariant: when a reader joins, live events have been handed on no further than the log has been read; both are compared
 * in one synchronous step, which is also the step of the join. So no event falls between the log and the live stream. The
 * log may be ahead of the live stream; those events come a second time, and are passed over.
 */

export interface ReplayPage<Event> {
  readonly events: readonly Event[]
  /** Everything at or before it has been read. */
  readonly position: Position
  /** The history that the log had when the page was asked for, see `Replay`. */
  readonly history?: number | undefined
}

/** The past of a source, for subscribers that resume. */
export interface Replay<Event> {
  /** How far live events have been handed on: all up to this position, and none after it. */
  position(): Position
  /**
   * Number of the history that `position()` is of; a failover or a restore begins another one, and positions of two histories
   * cannot be compared. Undefined: the source ends with its history.
   */
  readonly history?: number | undefined
  /** The position of a subscriber that has been sent everything so far: `position()`, or later if the history begins later. */
  start(): Position
  /**
   * What comes after a position, a page at a time. The log is read for all topics: a page may hold nothing for this one.
   * @param account pays for finding out which events are wanted. Default: the work is not counted
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; LIMIT_EXCEEDED if that takes too much work
   */
  read(after: Position, signal?: AbortSignal, account?: Account): Promise<ReplayPage<Event>>
  /** What a subscriber is sent between the past and the present. */
  seam(): readonly Event[]
}

/**
 * Reads on for as long as it is asked for the next page: each page begins where the one before ended.
 * @param first the page after `after`, if it has been read already
 */
export async function* pagesAfter<Page extends { readonly position: Position }>(
  after: Position,
  read: (after: Position) => Promise<Page>,
  first?: Page,
): AsyncGenerator<Page, never> {
  for (let page = first ?? (await read(after)); ; page = await read(page.position)) yield page
}

/** How far live events have been handed on in the history that a page is of; undefined: that history has ended. */
export function handedOnIn(
  replay: Pick<Replay<unknown>, 'position' | 'history'>,
  { history }: Pick<ReplayPage<unknown>, 'history'>,
): Position | undefined {
  return replay.history === history ? replay.position() : undefined
}

/**
 * Joins the live stream if live events have been handed on no further than the log has been read.
 * @param read how far the log has been read, and all of it handed to the reader
 * @param handedOn how far live events have been handed on; undefined: not known, and so not level
 * @param join from here on the reader gets live events. Synchronous, as the comparison holds for this step only
 * @returns whether the reader has joined; otherwise it needs the next page
 */
export function joinIfLevel(
  read: Position,
  handedOn: () => Position | undefined,
  join: () => undefined,
): boolean {
  const live = handedOn()
  if (!live || comparePositions(read, live) < 0) return false
  join()
  return true
}

/** A reader of the live stream. */
export interface JoinedReader {
  /** How far the log has served it; undefined once the live stream is past that. */
  seen: Position | undefined
}

/**
 * Whether the log has served the next live event already, which is then passed over.
 * @param position of the event; undefined: it is not in the log (a plain NOTIFY), and so was not served
 * @param endsHistory the log that was read is gone, and nothing of the next one has been served
 */
export function wasServed(
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
