import type { Position } from '../events/cursor.js'

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
  next: Link | undefined
}

/**
 * The frames of one group in order. A subscriber holds nothing but its place in here: what waits for a thousand slow readers
 * exists once, and a place costs one reference however far behind it is.
 */
export class FrameStream {
  #tail: Link = { frame: createFrame(''), end: 0, next: undefined }

  /** The newest frame. A subscriber that starts here gets all that come later. */
  get tail(): Link {
    return this.#tail
  }

  /** A frame may be in several streams. */
  push(frame: Frame): void {
    const link: Link = { frame, end: this.#tail.end + frame.bytes, next: undefined }
    this.#tail.next = link
    this.#tail = link
  }
}
