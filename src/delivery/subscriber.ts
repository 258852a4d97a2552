import { comparePositions, type Position } from '../events/cursor.js'
import type { Frame, FrameStream } from './frame-stream.js'

/** A place in a stream: everything up to `at` has been taken. */
interface Place {
  readonly stream: FrameStream
  at: Frame
}

/** One subscription of one client: a place in the stream of its group, or, while it catches up, in one of its own before that. */
export class Subscriber {
  /** Id of the subscription within its connection; empty where a connection carries one. */
  readonly id: string
  #place: Place
  /** Where it goes on when its own stream has been taken. */
  #seam: Place | undefined
  /** Up to here it has been served from the log: what the group brings of that is not for it. */
  #seen: Position | undefined
  /** Everything at or before it has been taken. */
  #taken: Position | undefined
  #isLive: boolean
  #onTaken: (() => void) | undefined

  /**
   * @param stream where it starts: that of its group, or one of its own while it catches up
   * @param after what the client has seen, for one that catches up
   */
  constructor(id: string, stream: FrameStream, after?: Position) {
    this.id = id
    this.#place = { stream, at: stream.tail }
    this.#taken = after
    this.#isLive = after === undefined
  }

  /**
   * Everything at or before it has been taken; undefined if nothing is known.
   * @param live where one stands who has taken all frames of the group
   */
  position(live: Position | undefined): Position | undefined {
    if (this.hasNext || !this.#isLive || !live) return this.#taken
    return [this.#seen, this.#taken].reduce<Position>(
      (furthest, position) => (position && comparePositions(position, furthest) > 0 ? position : furthest),
      live,
    )
  }

  /** It has been served everything up to there: what lies between two frames was not for it. */
  pass(position: Position): void {
    this.#taken = position
  }

  get hasNext(): boolean {
    this.#advance()
    return this.#place.at.next !== undefined
  }

  /** Bytes that wait behind the first waiting frame: one frame can always pass, however large. */
  get waiting(): number {
    this.#advance()
    const first = this.#place.at.next
    if (!first) return 0
    const behind = this.#seam ? this.#seam.stream.tail.end - this.#seam.at.end : 0
    return this.#place.stream.tail.end - first.end + behind
  }

  take(): Frame | undefined {
    this.#advance()
    const frame = this.#place.at.next
    if (!frame) return undefined
    this.#place.at = frame
    if (frame.position || frame.endsHistory) this.#taken = frame.position
    if (!frame.next) this.#tell()
    return frame
  }

  /** Resolves when nothing waits any more. */
  taken(): Promise<void> {
    if (!this.hasNext) return Promise.resolve()
    return new Promise(resolve => {
      this.#onTaken = resolve
    })
  }

  /**
   * From the end of its own stream it goes on with the group's, from where that is now.
   * @param seen what it has been served, which may be ahead of the group
   */
  join(stream: FrameStream, seen: Position): void {
    this.#seam = { stream, at: stream.tail }
    this.#seen = seen
  }

  #tell(): void {
    this.#onTaken?.()
    this.#onTaken = undefined
  }

  #advance(): void {
    if (this.#seam && !this.#place.at.next) {
      this.#place = this.#seam
      this.#seam = undefined
      this.#isLive = true
    }
    // The group was behind the log when it was joined: what is known already is passed over.
    while (this.#seen && !this.#seam && this.#place.at.next) {
      const { position, endsHistory } = this.#place.at.next
      if (endsHistory) {
        this.#seen = undefined // of the history that follows it has seen nothing
        return
      }
      if (!position) return // a plain NOTIFY stands nowhere in the log
      if (comparePositions(position, this.#seen) > 0) this.#seen = undefined
      else this.#place.at = this.#place.at.next
    }
  }
}
