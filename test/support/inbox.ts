/** A queue that a test reads one value at a time, waiting for those that have not come yet. */
export class Inbox<T> {
  readonly #values: T[] = []
  readonly #readers: ((value: T) => void)[] = []

  readonly push = (value: T): void => {
    const reader = this.#readers.shift()
    if (reader) reader(value)
    else this.#values.push(value)
  }

  /** What has come and not been read. */
  get waiting(): readonly T[] {
    return this.#values
  }

  next(what = 'the next value', deadline = 15_000): Promise<T> {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift() as T)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited ${deadline} ms for ${what}`)), deadline)
      this.#readers.push(value => {
        clearTimeout(timer)
        resolve(value)
      })
    })
  }

  async take(count: number, what = `${count} values`): Promise<T[]> {
    const values: T[] = []
    while (values.length < count) values.push(await this.next(`${what} (${values.length} so far)`))
    return values
  }
}
