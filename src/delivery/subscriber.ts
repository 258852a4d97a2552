import type { Account } from '../lib/limits/account.js'
import { comparePositions, type Position } from '../log/position.js'
import { type JoinedReader, wasServed } from '../sources/resume.js'
import type { Frame, FrameStream, Link } from './stream.js'

/** A place in a stream: everything up to `at` has been taken. `seen` was served by the stream before. */
interface StreamReader extends JoinedReader {
  readonly stream: FrameStream
  at: Link
  /** The place that follows when this stream has been taken. */
  seam: StreamReader | undefined
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
  #reader: StreamReader
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
    this.#reader = { stream, at: stream.enter(), seen: undefined, seam: undefined }
    this.#taken = after
    this.#isLive = after === undefined
  }

  /**
   * Everything at or before it has been taken; undefined if nothing is known.
   * @param live where one stands who has taken all frames of the group; undefined: not known
   */
  position(live: Position | undefined): Position | undefined {
    if (this.hasNext || !this.#isLive || !live) return this.#taken
    return [this.#reader.seen, this.#taken].reduce<Position>(
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
    let reader: StreamReader | undefined = this.#reader
    while (reader && reader.stream !== stream) reader = reader.seam
    return reader !== undefined
  }

  get hasNext(): boolean {
    if (this.#hasLeft) return false
    if (this.#reader.seam || this.#reader.seen) this.#advance()
    return this.#reader.at.next !== undefined
  }

  /** Bytes that wait behind the first waiting frame: one frame can always pass, however large. */
  get waiting(): number {
    if (!this.hasNext) return 0
    let bytes = -(this.#reader.at.next?.frame.bytes ?? 0)
    for (let reader: StreamReader | undefined = this.#reader; reader; reader = reader.seam) {
      bytes += reader.stream.tail.end - reader.at.end
    }
    return bytes
  }

  take(): Frame | undefined {
    if (!this.hasNext) return undefined
    const link = this.#reader.at.next as Link
    this.#reader.at = this.#reader.stream.advance(this.#reader.at)
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
    let last = this.#reader
    while (last.seam) last = last.seam
    last.seam = { stream, at: stream.enter(), seen, seam: undefined }
  }

  /** It has left, and holds nothing any more. Idempotent. */
  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    for (let reader: StreamReader | undefined = this.#reader; reader; reader = reader.seam)
      reader.stream.leave(reader.at)
  }

  #tell(): void {
    this.#onTaken?.()
    this.#onTaken = undefined
  }

  #advance(): void {
    while (!this.#reader.at.next && this.#reader.seam) {
      this.#reader.stream.leave(this.#reader.at)
      this.#reader = this.#reader.seam
      this.#isLive = true
      this.#skip()
    }
    if (this.#reader.seen) this.#skip()
  }

  /** Passes over the frames that the stream before has served. */
  #skip(): void {
    const reader = this.#reader
    for (let next = reader.at.next; next; next = reader.at.next) {
      if (!wasServed(reader, next.frame.position, next.frame.endsHistory)) return
      reader.at = reader.stream.advance(reader.at)
    }
  }
}
