import type { Frame, FrameStream } from './frame-stream.js'

/** One subscription of one client: a place in the stream of its group. */
export class Subscriber {
  /** Id of the subscription within its connection; empty where a connection carries one. */
  readonly id: string
  readonly #stream: FrameStream
  #at: Frame

  constructor(id: string, stream: FrameStream) {
    this.id = id
    this.#stream = stream
    this.#at = stream.tail
  }

  get hasNext(): boolean {
    return this.#at.next !== undefined
  }

  /** Bytes that wait behind the first waiting frame: one frame can always pass, however large. */
  get waiting(): number {
    const first = this.#at.next
    return first ? this.#stream.tail.end - first.end : 0
  }

  take(): Frame | undefined {
    const frame = this.#at.next
    if (frame) this.#at = frame
    return frame
  }
}
