import type { LogEvent } from '../log/log-event.js'

/**
 * How many events each table and each group of channels has had. Channels count by the pattern that opens them, because clients
 * choose the names of channels.
 */
export class EventCounts {
  /** By the oid of the table. */
  readonly tables = new Map<string, Count>()
  /** By the pattern. */
  readonly channels = new Map<string, Count>()
  readonly #patternOf: (channel: string) => string
  /** The counts of the channels that had events since the patterns changed. */
  readonly #known = new Map<string, Count>()

  /** @param patternOf returns one of a few patterns for a channel */
  constructor(patternOf: (channel: string) => string) {
    this.#patternOf = patternOf
  }

  /** Other patterns open channels from now on. */
  patternsChanged(): void {
    this.#known.clear()
  }

  /** An event of the log has been dispatched. */
  dispatched({ kind, topic }: Pick<LogEvent, 'kind' | 'topic'>): void {
    if (kind === 'c') return this.notified(topic)
    const count = this.tables.get(topic)
    if (count) count.events++
    else this.tables.set(topic, { events: 1 })
  }

  /** A notification of a channel has arrived. */
  notified(channel: string): void {
    let count = this.#known.get(channel)
    if (!count) {
      const pattern = this.#patternOf(channel)
      count = this.channels.get(pattern) ?? { events: 0 }
      this.channels.set(pattern, count)
      if (this.#known.size >= MAX_KNOWN) this.#known.clear()
      this.#known.set(channel, count)
    }
    count.events++
  }
}

export interface Count {
  events: number
}

/** For how many channels the pattern is remembered. */
const MAX_KNOWN = 1000
