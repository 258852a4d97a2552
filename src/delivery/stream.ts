import type { Position } from '../log/position.js'

/** One event, rendered once for all subscribers of a group. */
export interface Frame {
  /** The text to send: a GraphQL result as JSON, or the payload of a notification. */
  readonly text: string
  /** Size of `text` in bytes of UTF-8. */
  readonly bytes: number
  /** Position of the event in the log. Undefined: the event is not in the log. */
  readonly position: Position | undefined
  /** Whether the subscription ends with this frame. */
  readonly isFinal: boolean
  /** Whether a history ends here: positions before this frame cannot be compared with later ones. */
  readonly endsHistory: boolean
  /** Whether it replaces all earlier frames of its stream: they need not be sent. */
  readonly isState: boolean
  /** The bytes that a transport sends, by encoding. The transport keeps them here if they are the same for every subscriber. */
  encoded?: Map<string, Buffer>
  /** How many connections are still sending the frame after it was taken from its stream; see `Outbound.borrow`. */
  borrowers?: number
}

export function createFrame(
  text: string,
  bytes: number = Buffer.byteLength(text),
  position?: Position,
  { isFinal = false, endsHistory = false, isState = false } = {},
): Frame {
  return { text, bytes, position, isFinal, endsHistory, isState }
}

/** A frame in a stream, linked to the next one. Frames that no subscriber waits for can be garbage-collected. */
export interface Link {
  readonly frame: Frame
  /**
   * Bytes of all frames of the stream up to and including this one. The difference of two links is the size of the frames between
   * them.
   */
  readonly end: number
  /** The approximate memory of the same frames, in bytes. */
  readonly cost: number
  /** The number of subscribers whose last taken frame is this one. */
  readers: number
  next: Link | undefined
}

/** Memory of a frame beside its text. The text counts twice: as it was rendered, and as the transport encodes it. */
const FRAME_OVERHEAD_BYTES = 256
const TEXT_COPIES = 2

/** The approximate memory of a frame, in bytes. */
export function costOf({ bytes }: Frame): number {
  return FRAME_OVERHEAD_BYTES + TEXT_COPIES * bytes
}

/**
 * The frames of one group in order, each stored once for all subscribers. A subscriber holds only a reference to the last frame that
 * it has taken, however many frames wait for it. That reference keeps the later frames in memory, so a subscriber must `leave`.
 */
export class FrameStream {
  #tail: Link = { frame: createFrame(''), end: 0, cost: 0, readers: 0, next: undefined }
  /** The place of the slowest reader; the tail if there is no reader. */
  #slowest = this.#tail
  readonly #wait: (bytes: number) => void

  /** @param wait called with the change in bytes that wait for readers */
  constructor(wait: (bytes: number) => void = () => undefined) {
    this.#wait = wait
  }

  /** The newest frame. A subscriber that starts here gets all later frames. */
  get tail(): Link {
    return this.#tail
  }

  /** Appends a frame. A frame may be in several streams. */
  push(frame: Frame): void {
    const { end, cost } = this.#tail
    const size = costOf(frame)
    const link: Link = { frame, end: end + frame.bytes, cost: cost + size, readers: 0, next: undefined }
    this.#tail.next = link
    this.#tail = link
    this.#wait(size)
    this.#forget()
  }

  /** Registers a reader at the newest frame. */
  enter(): Link {
    this.#tail.readers++
    return this.#tail
  }

  /** Moves a reader to the next frame, which must exist. */
  advance(from: Link): Link {
    const to = from.next as Link
    to.readers++
    this.leave(from)
    return to
  }

  /** Unregisters a reader. */
  leave(place: Link): void {
    place.readers--
    if (place === this.#slowest) this.#forget()
  }

  /** Releases the frames that all readers have taken. */
  #forget(): void {
    const before = this.#slowest
    let slowest = before
    while (slowest.readers === 0 && slowest.next) slowest = slowest.next
    if (slowest === before) return
    this.#slowest = slowest
    this.#wait(before.cost - slowest.cost)
  }
}
