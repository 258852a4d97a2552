import { now } from '../clock.js'
import { DIGITS } from '../payload.js'

/** Most samples that are kept, each a latency in µs. */
const SAMPLES = 200_000

/** What the connections of one group received together. */
export class Tally {
  count = 0
  connections = 0
  failed = 0
  closed = 0
  readonly samples = new Float64Array(SAMPLES)
  sampled = 0
  /** One event of so many is a sample. */
  stride = 16
  /** Events that each connection is waited for to have, and how many have them. */
  target = Number.POSITIVE_INFINITY
  reached = 0
  onReached: (() => void) | undefined

  /** Reads when an event was made from the digits behind its mark. */
  sample(buffer: Buffer, digits: number, end: number): void {
    if (digits + DIGITS > end || this.sampled === SAMPLES) return
    let at = 0
    for (let i = digits; i < digits + DIGITS; i++) at = at * 10 + (buffer[i] as number) - 48
    this.samples[this.sampled++] = now() - at
  }
}

/** What one connection received. */
export class Counter {
  readonly tally: Tally
  count = 0
  #due: number

  constructor(tally: Tally) {
    this.tally = tally
    this.#due = 1 + (tally.connections++ % tally.stride) // or all would sample the same event
  }

  /** @returns whether this event is to be a sample */
  add(): boolean {
    const { tally } = this
    tally.count++
    if (++this.count === tally.target && ++tally.reached === tally.connections) tally.onReached?.()
    if (--this.#due > 0) return false
    this.#due = tally.stride
    return true
  }
}
