import type { Position } from '../log/position.js'

/** Shortest time from one reset of a reader to the next, in ms. */
export const MIN_RESET_INTERVAL_MS = 1000

/** What a subscriber gets before the first change: the present state, exact at a position. */
export interface InitialState<Event> {
  /**
   * The last one has `position`, so that a subscriber resumes after it. The others have START_OVER: a subscriber that has got only some
   * of them begins again.
   */
  readonly events: readonly Event[]
  /** Every change up to here shows in the events, and none after it. */
  readonly position: Position
  /** The approximate memory of the events, in bytes. */
  readonly bytes: number
}

/** Reads the initial state of a source: what its subscribers get before the first change. */
export interface InitialStateReader<Event> {
  /** Subscribers that begin at the same time get the same object. @throws the errors of a snapshot, or the signal's reason */
  read(signal?: AbortSignal): Promise<InitialState<Event>>
  /** Says that everything before it no longer counts, and that the subscriber begins again. */
  reset(): Event
  /** Whether a subscriber begins again after this error, as after a position that has expired, instead of ending with it. */
  startsOverAfter(error: unknown): boolean
}
