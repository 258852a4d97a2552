import { MARK, PAYLOAD } from '../payload.js'
import type { Counter } from './tally.js'

export interface Control {
  /** The frame's opcode (https://www.rfc-editor.org/rfc/rfc6455#section-5.2). */
  readonly opcode: number
  readonly data: Buffer
}

/** Counts the events that a WebSocket receives. It goes from frame header to frame header, and reads the content of short frames only. */
export class WebSocketReader {
  readonly #counter: Counter
  readonly #onControl: (control: Control) => void
  /** Bytes still to come of the current event. */
  #skip = 0
  /** The current frame, if it does not look like an event so far. */
  #rest: Buffer | undefined

  constructor(counter: Counter, onControl: (control: Control) => void) {
    this.#counter = counter
    this.#onControl = onControl
  }

  read(buffer: Buffer, length: number): void {
    if (this.#rest) {
      const joined = Buffer.concat([this.#rest, buffer.subarray(0, length)])
      this.#rest = undefined
      return this.read(joined, joined.length)
    }
    let at = 0
    if (this.#skip > 0) {
      if (this.#skip > length) {
        this.#skip -= length
        return
      }
      at = this.#skip
      this.#skip = 0
      this.#counter.add()
    }
    while (at < length) {
      const short = length - at >= 2 ? (buffer[at + 1] as number) : 127
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (length - at < header) return this.#keep(buffer, at, length)
      const size =
        short < 126
          ? short
          : short === 126
            ? ((buffer[at + 2] as number) << 8) | (buffer[at + 3] as number)
            : buffer.readUInt32BE(at + 6)
      const end = at + header + size
      if (size >= PAYLOAD) {
        if (end > length) {
          this.#skip = end - length
          return
        }
        if (this.#counter.add()) {
          const mark = buffer.indexOf(MARK, at + header)
          if (mark >= 0 && mark < end) this.#counter.tally.sample(buffer, mark + 1, end)
        }
      } else {
        if (end > length) return this.#keep(buffer, at, length)
        const opcode = (buffer[at] as number) & 15
        this.#onControl({ opcode, data: Buffer.from(buffer.subarray(at + header, end)) })
      }
      at = end
    }
  }

  #keep(buffer: Buffer, from: number, to: number): void {
    this.#rest = Buffer.from(buffer.subarray(from, to))
  }
}

/** A client's frame: masked, with a key of zeros. */
export function clientFrame(opcode: number, data: Buffer): Buffer {
  const { length } = data
  const header = length < 126 ? Buffer.alloc(6) : Buffer.alloc(8)
  header[0] = 0x80 | opcode
  header[1] = 0x80 | Math.min(length, 126)
  if (length >= 126) header.writeUInt16BE(length, 2)
  return Buffer.concat([header, data])
}
