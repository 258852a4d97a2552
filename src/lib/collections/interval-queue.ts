/**
 * Something that is done again and again. A class, since each idle client has one: with a timer of its own, it would take three times
 * the memory.
 */
export abstract class Recurring {
  /** When it is due, in ms of performance.now, rounded up: V8 would allocate another number for a fraction. */
  due = 0
  earlier: Recurring | undefined
  later: Recurring | undefined

  /** It is due. It is due again one interval later, unless it has been removed. */
  abstract recur(): void
}

/** How long things are done in one turn of the event loop, in ms. As in delivery/scheduler.ts. */
const SLICE_MS = 8

/** Does all `Recurring` things with one timer, each for the first time one interval after it was added. */
export class IntervalQueue {
  readonly #interval: number
  /** The list is sorted by time, since the interval is the same for all. */
  #first: Recurring | undefined
  #last: Recurring | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param interval in ms, at least 1 */
  constructor(interval: number) {
    this.#interval = Math.max(1, interval)
  }

  /** Adds it or, if it has been added before, lets it wait for a whole interval from now on. */
  add(item: Recurring): void {
    this.#append(item)
    this.#timer ??= setTimeout(this.#run, this.#interval)
  }

  /** Idempotent. */
  remove(item: Recurring): void {
    this.#unlink(item)
    if (this.#first) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #append(item: Recurring): void {
    this.#unlink(item)
    item.due = Math.ceil(performance.now() + this.#interval)
    item.earlier = this.#last
    if (this.#last) this.#last.later = item
    else this.#first = item
    this.#last = item
  }

  #unlink(item: Recurring): void {
    const { earlier, later } = item
    if (earlier) earlier.later = later
    else if (this.#first === item) this.#first = later
    if (later) later.earlier = earlier
    else if (this.#last === item) this.#last = earlier
    item.earlier = undefined
    item.later = undefined
  }

  readonly #run = () => {
    try {
      // A timer of Node may fire up to one millisecond early.
      const now = performance.now()
      for (let item = this.#first; item && item.due < now + 1; item = this.#first) {
        this.#append(item)
        item.recur()
        if (performance.now() - now >= SLICE_MS) break // those that are due as well follow after other work
      }
    } finally {
      clearTimeout(this.#timer) // `recur` may have removed the last one and added another
      this.#timer = this.#first && setTimeout(this.#run, Math.max(1, this.#first.due - performance.now()))
    }
  }
}
