import type { ListenqlError } from '../lib/errors.js'
import type { Account } from '../lib/limits/account.js'
import { latest, type Position } from '../log/position.js'
import { type JoinedReader, wasReplayed } from '../sources/resume.js'
import type { Frame, FrameStream, Link } from './stream.js'
import type { TransactionEnds } from './transaction-ends.js'

/** A reader of a stream: every frame up to `at` has been taken. Events up to `seen` came with the previous stream. */
interface StreamReader extends JoinedReader {
  readonly stream: FrameStream
  at: Link
  /** Whether it is the stream of the group. */
  readonly isLive: boolean
  /** The reader that follows once all frames of this stream have been taken. */
  seam: StreamReader | undefined
}

/**
 * One subscription of one client. It takes the frames of its group's stream or, while it catches up, of its own stream first and then
 * of the group's. At the seam between two streams it gets each event exactly once.
 */
export class Subscriber {
  /** Id of the subscription within its connection; empty if a connection has only one. */
  readonly id: string
  /** Pays for the work of its subscription. Undefined: the work is not counted. */
  readonly account: Account | undefined
  /** Bytes that its transport sends before each frame. The transport keeps them here. */
  label: Buffer | undefined
  /**
   * Called in the step in which the history of its group ends. Another one begins, of which it gets nothing until it joins the group's
   * stream again; or the group ends, with an error. Undefined: it needs neither.
   */
  onHistoryEnd: ((end?: ListenqlError) => void) | undefined
  /** Where its transactions end. Undefined: its client did not ask for that. */
  ends: TransactionEnds | undefined
  /** How many frames it has taken, without the last one of a subscription that has ended. */
  results = 0
  #hasLeft = false
  #reader: StreamReader
  /** Everything at or before it has been taken. */
  #taken: Position | undefined
  #isLive: boolean
  #onTaken: (() => void) | undefined

  /**
   * @param stream the first stream: that of its group, or its own if it catches up
   * @param after the position up to which the client has seen everything. Undefined: the subscriber does not catch up
   */
  constructor(id: string, stream: FrameStream, after?: Position, account?: Account) {
    this.id = id
    this.account = account
    const isLive = after === undefined
    this.#reader = { stream, at: stream.enter(), seen: undefined, isLive, seam: undefined }
    this.#taken = after
    this.#isLive = isLive
  }

  /**
   * The position up to which every event has been taken. Undefined: unknown.
   * @param live the position of a subscriber that has taken all frames of the group. Undefined: unknown
   */
  position(live: Position | undefined): Position | undefined {
    if (this.hasNext || !this.#isLive || !live) return this.#taken
    return latest(live, latest(this.#reader.seen, this.#taken))
  }

  get hasLeft(): boolean {
    return this.#hasLeft
  }

  /** Whether it takes frames from the stream of its group. */
  get isLive(): boolean {
    return this.#isLive
  }

  /** It has taken everything up to this position: later events up to there were not for it. */
  pass(position: Position): void {
    this.#taken = position
  }

  /** Whether it reads a stream, or will once it has taken the present ones. */
  isOn(stream: FrameStream): boolean {
    let reader: StreamReader | undefined = this.#reader
    while (reader && reader.stream !== stream) reader = reader.seam
    return reader !== undefined
  }

  get hasNext(): boolean {
    if (this.#hasLeft) return false
    if (this.#reader.seam || this.#reader.seen) this.#advance()
    if (this.#reader.at.next?.frame.isState) this.#passReplaced()
    return this.#reader.at.next !== undefined
  }

  /** Bytes that wait, without the first waiting frame: one frame may always wait, however large. */
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
    if (!frame.isFinal) this.results++
    this.ends?.took(frame)
    if (!link.next && !this.hasNext) this.#resolveTaken()
    return frame
  }

  /** Resolves when no frame waits. */
  taken(): Promise<void> {
    if (!this.hasNext) return Promise.resolve()
    return new Promise(resolve => {
      this.#onTaken = resolve
    })
  }

  /**
   * Appends a stream: after the present end of its other streams it continues with the frames that are added to this one from now on.
   * @param seen the position up to which it gets events from its other streams; frames up to it are skipped
   */
  join(stream: FrameStream, seen: Position | undefined): void {
    this.#append({ stream, at: stream.enter(), seen: latest(seen, this.seen), isLive: true, seam: undefined })
  }

  /** The position up to which it skips the events of its last stream, since they came with the one before. Undefined: it skips none. */
  get seen(): Position | undefined {
    const { seen, at } = this.#last
    const reader: JoinedReader = { seen }
    for (let link = at.next; link && reader.seen; link = link.next)
      wasReplayed(reader, link.frame.position, link.frame.endsHistory)
    return reader.seen
  }

  /** Leaves the stream of its group after the frames that it has now, for a stream of its own: it catches up again. */
  leaveFor(own: FrameStream): void {
    this.#isLive = false
    this.#append({ stream: own, at: own.enter(), seen: undefined, isLive: false, seam: undefined })
  }

  /** Ends the subscriber: it takes no more frames and releases its streams. Idempotent. */
  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    for (let reader: StreamReader | undefined = this.#reader; reader; reader = reader.seam)
      reader.stream.leave(reader.at)
  }

  #append(reader: StreamReader): void {
    this.#last.seam = reader
  }

  get #last(): StreamReader {
    let last = this.#reader
    while (last.seam) last = last.seam
    return last
  }

  #resolveTaken(): void {
    this.#onTaken?.()
    this.#onTaken = undefined
  }

  #advance(): void {
    while (!this.#reader.at.next && this.#reader.seam) {
      this.#reader.stream.leave(this.#reader.at)
      this.#reader = this.#reader.seam
      this.#isLive = this.#reader.isLive
      this.#skip()
    }
    if (this.#reader.seen) this.#skip()
  }

  /** Leaves out the states that a later one has replaced while they waited. */
  #passReplaced(): void {
    const reader = this.#reader
    while (reader.at.next?.next?.frame.isState) reader.at = reader.stream.advance(reader.at)
  }

  /** Skips the frames of events that came with the previous stream. */
  #skip(): void {
    const reader = this.#reader
    for (let next = reader.at.next; next; next = reader.at.next) {
      if (!wasReplayed(reader, next.frame.position, next.frame.endsHistory)) return
      reader.at = reader.stream.advance(reader.at)
    }
  }
}
