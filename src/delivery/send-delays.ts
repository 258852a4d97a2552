import { Histogram } from '../lib/telemetry/histogram.js'
import type { Topic } from '../sources/source.js'
import type { Scheduler } from './scheduler.js'

export interface SendDelaysOptions {
  readonly scheduler: Pick<Scheduler, 'afterwards'>
  /** The time by the clock of the database, in ms since 1970. Undefined: it is not known yet. */
  readonly now: () => number | undefined
  /** The upper bounds of the ranges that are counted, in seconds. */
  readonly bounds: readonly number[]
}

/**
 * How long events take from the change in the database to the sockets, in seconds: once for each event and group, whatever the number
 * of subscribers. An event counts when no connection has anything left to write that it could write: what waits for a slow client
 * does not delay the measurement.
 */
export class SendDelays {
  readonly byKind: Readonly<Record<Topic['kind'], Histogram>>
  readonly #options: SendDelaysOptions
  readonly #rendered: Readonly<Record<Topic['kind'], Rendered>> = {
    table: new Rendered(),
    channel: new Rendered(),
  }
  #isDue = false
  readonly #settle = () => this.#record()

  constructor(options: SendDelaysOptions) {
    this.#options = options
    this.byKind = { table: new Histogram(options.bounds), channel: new Histogram(options.bounds) }
  }

  /** A group has rendered an event. @param madeAt undefined: it is not known, and the event does not count */
  rendered(kind: Topic['kind'], madeAt: Date | undefined): void {
    if (madeAt === undefined) return
    this.#rendered[kind].add(madeAt.getTime())
    if (this.#isDue) return
    this.#isDue = true
    this.#options.scheduler.afterwards(this.#settle)
  }

  #record(): void {
    this.#isDue = false
    const now = this.#options.now()
    this.#rendered.table.moveTo(this.byKind.table, now)
    this.#rendered.channel.moveTo(this.byKind.channel, now)
  }
}

/** Events that have been rendered and may not have been written. Its arrays are used again in each turn. */
class Rendered {
  readonly #at: number[] = []
  /** How many groups have rendered the event. Those of one change follow one another. */
  readonly #times: number[] = []
  #size = 0

  /** @param at when the change was made, in ms */
  add(at: number): void {
    const last = this.#size - 1
    if (last >= 0 && this.#at[last] === at) {
      this.#times[last] = (this.#times[last] as number) + 1
      return
    }
    this.#at[this.#size] = at
    this.#times[this.#size] = 1
    this.#size++
  }

  moveTo(histogram: Histogram, now: number | undefined): void {
    for (let i = 0; i < this.#size && now !== undefined; i++)
      histogram.record(Math.max(0, now - (this.#at[i] as number)) / 1000, this.#times[i])
    this.#size = 0
  }
}
