import { createDeferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import type { Position } from './position.js'

/**
 * How far the live log has been dispatched, and in which history. Within a history the position only moves forward. When a history
 * ends, `onEnd` is called, so that no listener takes the next history for its continuation.
 */
export class LivePosition {
  readonly #onEnd: (error: ListenqlError) => void
  readonly #started = createDeferred()
  #position: Position | undefined
  #histories = 0
  /** `started` resolved before the log could be read: events may have been missed until it can. */
  #wasLate = false

  /** @param onEnd called with the reason when a history has ended; the position is that of the next history then */
  constructor(onEnd: (error: ListenqlError) => void) {
    this.#onEnd = onEnd
  }

  /** Every event up to here has been dispatched, and no event after it. Undefined until the end of the log is known. */
  get position(): Position | undefined {
    return this.#position
  }

  /** How many histories have ended. */
  get histories(): number {
    return this.#histories
  }

  /** Resolves with the first position, or with undefined once the log is known to be unavailable. */
  async started(): Promise<Position | undefined> {
    await this.#started.promise
    return this.#position
  }

  /** Everything up to this position of the same history has been dispatched. */
  moveTo(position: Position): void {
    this.#position = position
  }

  /** The log can be read for the first time, and events after this position are dispatched. */
  begin(position: Position): void {
    this.#position = position
    this.#started.resolve()
    if (!this.#wasLate) return
    this.#wasLate = false
    this.endHistory(
      new ListenqlError('CURSOR_EXPIRED', 'the event log could not be read for a while'),
      position,
    )
  }

  /** The history has ended, and the next one begins at this position. */
  endHistory(error: ListenqlError, begin: Position): void {
    this.#histories++
    this.#position = begin
    this.#onEnd(error)
  }

  /** The log cannot be read at the moment. */
  unavailable(): void {
    if (this.#position === undefined) this.#wasLate = true
    this.#started.resolve()
  }
}
