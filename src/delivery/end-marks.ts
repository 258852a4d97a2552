import type { Frame } from './stream.js'
import type { Subscriber } from './subscriber.js'

/** Where the marks are written. */
interface MarkSink {
  readonly writable: boolean
  frame(subscriber: Subscriber, frame: Frame): void
}

/**
 * Times in ms until it is checked again whether the last transaction of a subscriber is complete, the first and the longest: the log is
 * read within milliseconds, unless it is paused or policies take long.
 */
const FIRST_CHECK_MS = 2
const LONGEST_CHECK_MS = 250

/** Writes the marks at the ends of transactions, for the subscribers of one connection that want them. */
export class EndMarks {
  readonly #sink: MarkSink
  readonly #notify: (subscriber: Subscriber) => void
  /** Subscribers whose last transaction may have more events. */
  readonly #incomplete = new Set<Subscriber>()
  #timer: NodeJS.Timeout | undefined
  #wait = FIRST_CHECK_MS

  /** @param notify makes the connection call `write` for a subscriber soon */
  constructor(sink: MarkSink, notify: (subscriber: Subscriber) => void) {
    this.#sink = sink
    this.#notify = notify
  }

  /** Writes what is due. Called within a write to the sink, whenever the subscriber has begun or has taken frames. */
  write(subscriber: Subscriber): void {
    const { ends, hasNext } = subscriber
    if (!ends?.isDue) return
    const next = () => (this.#sink.writable ? ends.take(hasNext) : undefined)
    for (let frame = next(); frame; frame = next()) {
      this.#sink.frame(subscriber, frame)
      this.#wait = FIRST_CHECK_MS
    }
    if (!ends.isDue || hasNext) return
    this.#incomplete.add(subscriber)
    this.#timer ??= setTimeout(() => this.#check(), this.#wait).unref()
  }

  remove(subscriber: Subscriber): void {
    this.#incomplete.delete(subscriber)
  }

  close(): void {
    this.#incomplete.clear()
    clearTimeout(this.#timer)
  }

  #check(): void {
    this.#timer = undefined
    this.#wait = Math.min(2 * this.#wait, LONGEST_CHECK_MS)
    const incomplete = [...this.#incomplete]
    this.#incomplete.clear()
    for (const subscriber of incomplete) this.#notify(subscriber)
  }
}
