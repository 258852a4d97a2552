import { END_OF_BATCH, type Position } from '../log/position.js'
import type { Frame } from './stream.js'

/** The frames that tell a client where transactions end. */
export interface TransactionFrames {
  /** Comes before all other frames: ends will be marked. */
  readonly announcement: Frame
  /** Every transaction of which a change has been sent has been sent to its end. */
  readonly end: Frame
}

export interface TransactionEndsOptions {
  readonly frames: TransactionFrames
  /** The position after which the client resumes, which may be within a transaction. */
  readonly after?: Position | undefined
  /** Every event up to here has been taken. Undefined: unknown. */
  readonly reached: () => Position | undefined
}

/**
 * Says when one subscriber gets the mark of an end: once nothing more of the last transaction can follow. The client cannot know that by
 * itself, since the rest of the transaction may not be for it.
 */
export class TransactionEnds {
  readonly #options: TransactionEndsOptions
  #isAnnounced = false
  /** Position of the last change that the client has, since the last mark. Undefined: it has all of its transactions. */
  #last: Position | undefined

  constructor(options: TransactionEndsOptions) {
    this.#options = options
    this.#last = options.after
  }

  /** Whether a frame is still to come, if no event does. */
  get isDue(): boolean {
    return !this.#isAnnounced || this.#last !== undefined
  }

  /** A frame has been taken. Nothing may follow the last one. */
  took({ position, isFinal }: Frame): void {
    this.#last = isFinal ? undefined : (position ?? this.#last)
  }

  /**
   * Takes the next frame, if it is time.
   * @param hasNext whether other frames wait, which may be of the same transaction
   */
  take(hasNext: boolean): Frame | undefined {
    const { frames, reached } = this.#options
    if (!this.#isAnnounced) {
      this.#isAnnounced = true
      return frames.announcement
    }
    if (!this.#last || hasNext || !isPast(reached(), this.#last)) return undefined
    this.#last = undefined
    return frames.end
  }
}

/** Whether a position is after the transaction of an event. */
function isPast(reached: Position | undefined, { n, ord }: Position): boolean {
  if (!reached) return false
  return reached.n > n || (reached.n === n && (reached.ord > ord || ord === END_OF_BATCH))
}
