import type { Position } from '../log/position.js'

/** One event, rendered once for all subscribers of a group. */
export interface Frame {
  /** What is sent: JSON of a GraphQL result, or a payload as it is. */
  readonly text: string
  /** Size of `text` in bytes of UTF-8. */
  readonly bytes: number
  /** Place of the event in the log, if it is in there. */
  readonly position: Position | undefined
  /** The last one: the subscription ends with it. */
  readonly isFinal: boolean
  /** Positions before it say nothing about what comes after it. */
  readonly endsHistory: boolean
  /** Bytes as one transport sends them, kept by that transport if they are the same for every subscriber. */
  encoded?: Map<string, Buffer>
  /** Connections that are sending it, after it was taken from its stream; see `Outbound.borrow`. */
  borrowers?: number
}

export function createFrame(
  text: string,
  bytes: number = Buffer.byteLength(text),
  position?: Position,
  { isFinal = false, endsHistory = false } = {},
): Frame {
  return { text, bytes, position, isFinal, endsHistory }
}

/** A frame in a stream. Linked to the next, so that what nobody waits for is garbage. */
export interface Link {
  readonly frame: Frame
  /** Bytes of all frames of the stream up to and with this one: two links tell at once how much lies between them. */
  readonly end: number
  /** The same in memory, about. */
  readonly cost: number
  /** Subscribers whose place is here. */
  readers: number
  next: Link | undefined
}

/** What a frame takes beside its text, and that its text is there twice: as it was rendered, and as it is sent. */
const FRAME_OVERHEAD_BYTES = 256
const TEXT_COPIES = 2

/** What a frame takes in memory, about, in bytes. */
export function costOf({ bytes }: Frame): number {
  return FRAME_OVERHEAD_BYTES + TEXT_COPIES * bytes
}

/**
 * The frames of one group in order. A subscriber holds nothing but its place in here: what waits for a thousand slow readers
 * exists once, and a place costs one reference however far behind it is. Who has a place holds the frames after it, and has
 * to leave it at the end.
 */
export class FrameStream {
  #tail: Link = { frame: createFrame(''), end: 0, cost: 0, readers: 0, next: undefined }
  /** Where the slowest reader is; the tail if there is none. */
  #slowest = this.#tail
  readonly #wait: (bytes: number) => void

  /** @param wait told how many bytes more, or less, wait for readers */
  constructor(wait: (bytes: number) => void = () => undefined) {
    this.#wait = wait
  }

  /** The newest frame. A subscriber that starts here gets all that come later. */
  get tail(): Link {
    return this.#tail
  }

  /** A frame may be in several streams. */
  push(frame: Frame): void {
    const { end, cost } = this.#tail
    const size = costOf(frame)
    const link: Link = { frame, end: end + frame.bytes, cost: cost + size, readers: 0, next: undefined }
    this.#tail.next = link
    this.#tail = link
    this.#wait(size)
    this.#forget()
  }

  /** A place at the newest frame. */
  enter(): Link {
    this.#tail.readers++
    return this.#tail
  }

  /** From a place to the next. */
  advance(from: Link): Link {
    const to = from.next as Link
    to.readers++
    this.leave(from)
    return to
  }

  leave(place: Link): void {
    place.readers--
    if (place === this.#slowest) this.#forget()
  }

  /** What all readers have taken is held no more. */
  #forget(): void {
    const before = this.#slowest
    let slowest = before
    while (slowest.readers === 0 && slowest.next) slowest = slowest.next
    if (slowest === before) return
    this.#slowest = slowest
    this.#wait(before.cost - slowest.cost)
  }
}
