import { now } from '../clock.js'
import { DIGITS } from '../payload.js'

/** Most samples that are kept, each a latency in µs. */
const SAMPLES = 200_000

/** The events that the connections of one group received together. */
export class Tally {
  count = 0
  connections = 0
  failed = 0
  closed = 0
  readonly samples = new Float64Array(SAMPLES)
  sampled = 0
  /** One of this many events is a sample. */
  stride = 16
  /** The number of events that `reach` waits for on each connection, and how many connections have them. */
  target = Number.POSITIVE_INFINITY
  reached = 0
  /** Closed connections, which will never have them. */
  missing = 0
  onSettled: (() => void) | undefined

  /** Calls `onSettled` once each connection has reached the target or is closed. */
  settle(): void {
    if (this.reached + this.missing === this.connections) this.onSettled?.()
  }

  /** Reads the time when an event was created, from the digits after its mark. */
  sample(buffer: Buffer, digits: number, end: number): void {
    if (digits + DIGITS > end || this.sampled === SAMPLES) return
    let at = 0
    for (let i = digits; i < digits + DIGITS; i++) at = at * 10 + (buffer[i] as number) - 48
    this.samples[this.sampled++] = now() - at
  }
}

/** The events that one connection received. */
export class Counter {
  readonly tally: Tally
  count = 0
  isClosed = false
  #due: number

  constructor(tally: Tally) {
    this.tally = tally
    this.#due = 1 + (tally.connections++ % tally.stride) // otherwise all connections would sample the same event
  }

  /** @returns whether this event is a sample */
  add(): boolean {
    const { tally } = this
    tally.count++
    if (++this.count === tally.target) {
      tally.reached++
      tally.settle()
    }
    if (--this.#due > 0) return false
    this.#due = tally.stride
    return true
  }

  close(): void {
    const { tally } = this
    if (this.isClosed) return
    this.isClosed = true
    tally.closed++
    if (this.count >= tally.target) return
    tally.missing++
    tally.settle()
  }
}
