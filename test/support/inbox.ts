import { Fifo } from '../../src/lib/fifo.js'

/** A queue from which a test reads one value at a time, waiting for values that have not arrived yet. */
export class Inbox<T> {
  readonly #values = new Fifo<T>()
  readonly #readers: ((value: T) => void)[] = []
  /** How the stream of the values ended: shown by an error of `next`. */
  end: string | undefined

  readonly push = (value: T): void => {
    const reader = this.#readers.shift()
    if (reader) reader(value)
    else this.#values.push(value)
  }

  /** Removes and returns the values that have arrived and were not read. */
  drain(): T[] {
    const values: T[] = []
    while (this.#values.size > 0) values.push(this.#values.shift() as T)
    return values
  }

  next(what = 'the next value', deadline = 15_000): Promise<T> {
    if (this.#values.size > 0) return Promise.resolve(this.#values.shift() as T)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited ${deadline} ms for ${what}${this.#ending}`)),
        deadline,
      )
      this.#readers.push(value => {
        clearTimeout(timer)
        resolve(value)
      })
    })
  }

  async take(count: number, what = `${count} values`): Promise<T[]> {
    const values: T[] = []
    for (;;) {
      while (values.length < count && this.#values.size > 0) values.push(this.#values.shift() as T)
      if (values.length === count) return values
      values.push(await this.next(`${what} (${values.length} so far)`))
    }
  }

  get #ending(): string {
    return this.end === undefined ? '' : `; the stream ended: ${this.end}`
  }
}
