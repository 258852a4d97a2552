import type { Position } from '../events/cursor.js'

/** One event, rendered once for all subscribers of a group. Linked to the next, so that what nobody waits for is garbage. */
export interface Frame {
  /** What is sent: JSON of a GraphQL result, or a payload as it is. */
  readonly text: string
  /** Size of `text` in bytes of UTF-8. */
  readonly bytes: number
  /** Bytes of all frames of the stream up to and with this one: two frames tell at once how much lies between them. */
  readonly end: number
  next: Frame | undefined
  /** Place of the event in the log, if it is in there. */
  readonly position: Position | undefined
  /** The last one: the subscription ends with it. */
  readonly isFinal: boolean
  /** Positions before it say nothing about what comes after it. */
  readonly endsHistory: boolean
  /** Bytes as one transport sends them, kept by that transport if they are the same for every subscriber. */
  encoded?: Map<string, Buffer>
}

/**
 * The frames of one group in order. A subscriber holds nothing but its place in here: what waits for a thousand slow readers
 * exists once, and a place costs one reference however far behind it is.
 */
export class FrameStream {
  #tail: Frame = {
    text: '',
    bytes: 0,
    end: 0,
    next: undefined,
    position: undefined,
    isFinal: false,
    endsHistory: false,
  }

  /** The newest frame. A subscriber that starts here gets all that come later. */
  get tail(): Frame {
    return this.#tail
  }

  push(
    text: string,
    bytes: number = Buffer.byteLength(text),
    position?: Position,
    { isFinal = false, endsHistory = false } = {},
  ): void {
    const end = this.#tail.end + bytes
    const frame: Frame = { text, bytes, end, next: undefined, position, isFinal, endsHistory }
    this.#tail.next = frame
    this.#tail = frame
  }
}
