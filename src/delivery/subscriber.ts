import { comparePositions, type Position } from '../events/cursor.js'
import type { Account } from '../lib/account.js'
import type { Frame, FrameStream, Link } from './frame-stream.js'

/** A place in a stream: everything up to `at` has been taken. */
interface Place {
  readonly stream: FrameStream
  at: Link
  /** Up to here it has been served by another stream: what this one brings of that is not for it. */
  seen: Position | undefined
  /** Where it goes on when this stream has been taken. */
  seam: Place | undefined
}

/** One subscription of one client: a place in the stream of its group, or, while it catches up, in one of its own before that. */
export class Subscriber {
  /** Id of the subscription within its connection; empty where a connection carries one. */
  readonly id: string
  /** Pays for the work that is done for it. */
  readonly account: Account | undefined
  /** Bytes that its transport puts before each frame, kept by that transport. */
  label: Buffer | undefined
  #hasLeft = false
  #place: Place
  /** Everything at or before it has been taken. */
  #taken: Position | undefined
  #isLive: boolean
  #onTaken: (() => void) | undefined

  /**
   * @param stream where it starts: that of its group, or one of its own while it catches up
   * @param after what the client has seen, for one that catches up
   */
  constructor(id: string, stream: FrameStream, after?: Position, account?: Account) {
    this.id = id
    this.account = account
    this.#place = { stream, at: stream.enter(), seen: undefined, seam: undefined }
    this.#taken = after
    this.#isLive = after === undefined
  }

  /**
   * Everything at or before it has been taken; undefined if nothing is known.
   * @param live where one stands who has taken all frames of the group; undefined: not known
   */
  position(live: Position | undefined): Position | undefined {
    if (this.hasNext || !this.#isLive || !live) return this.#taken
    return [this.#place.seen, this.#taken].reduce<Position>(
      (furthest, position) => (position && comparePositions(position, furthest) > 0 ? position : furthest),
      live,
    )
  }

  get hasLeft(): boolean {
    return this.#hasLeft
  }

  /** Whether it has come to the stream of its group. */
  get isLive(): boolean {
    return this.#isLive
  }

  /** It has been served everything up to there: what lies between two frames was not for it. */
  pass(position: Position): void {
    this.#taken = position
  }

  /** Whether it is in a stream, or will come to it by itself. */
  isOn(stream: FrameStream): boolean {
    let place: Place | undefined = this.#place
    while (place && place.stream !== stream) place = place.seam
    return place !== undefined
  }

  get hasNext(): boolean {
    if (this.#hasLeft) return false
    if (this.#place.seam || this.#place.seen) this.#advance()
    return this.#place.at.next !== undefined
  }

  /** Bytes that wait behind the first waiting frame: one frame can always pass, however large. */
  get waiting(): number {
    if (!this.hasNext) return 0
    let bytes = -(this.#place.at.next?.frame.bytes ?? 0)
    for (let place: Place | undefined = this.#place; place; place = place.seam) {
      bytes += place.stream.tail.end - place.at.end
    }
    return bytes
  }

  take(): Frame | undefined {
    if (!this.hasNext) return undefined
    const link = this.#place.at.next as Link
    this.#place.at = this.#place.stream.advance(this.#place.at)
    const { frame } = link
    if (frame.position || frame.endsHistory) this.#taken = frame.position
    if (!link.next) this.#tell()
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
   * From the end of its stream, and of those that it is to join already, it goes on with another one, from where that is now.
   * @param seen what it has been served, which may be ahead of that stream
   */
  join(stream: FrameStream, seen: Position | undefined): void {
    let last = this.#place
    while (last.seam) last = last.seam
    last.seam = { stream, at: stream.enter(), seen, seam: undefined }
  }

  /** It has left, and holds nothing any more. Idempotent. */
  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    for (let place: Place | undefined = this.#place; place; place = place.seam) place.stream.leave(place.at)
  }

  #tell(): void {
    this.#onTaken?.()
    this.#onTaken = undefined
  }

  #advance(): void {
    while (!this.#place.at.next && this.#place.seam) {
      this.#place.stream.leave(this.#place.at)
      this.#place = this.#place.seam
      this.#isLive = true
      this.#skip()
    }
    if (this.#place.seen) this.#skip()
  }

  /** The stream was behind the log when it was joined: what is known already is passed over. */
  #skip(): void {
    const place = this.#place
    while (place.seen && place.at.next) {
      const { position, endsHistory } = place.at.next.frame
      if (endsHistory) {
        place.seen = undefined // of the history that follows it has seen nothing
        return
      }
      if (!position) return // a plain NOTIFY stands nowhere in the log
      if (comparePositions(position, place.seen) > 0) place.seen = undefined
      else place.at = place.stream.advance(place.at)
    }
  }
}
