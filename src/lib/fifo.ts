/** A queue with both ends in constant time: `Array.shift` moves all waiting values, which takes the square of a burst. */
export class Fifo<T> {
  #values: T[] = []
  #head = 0

  get size(): number {
    return this.#values.length - this.#head
  }

  push(value: T): void {
    this.#values.push(value)
  }

  /** The oldest value, without removing it. */
  peek(): T | undefined {
    return this.#values[this.#head]
  }

  shift(): T | undefined {
    if (this.#head === this.#values.length) return undefined
    const value = this.#values[this.#head] as T
    this.#values[this.#head] = undefined as T // lets the value be garbage-collected
    this.#head++
    if (this.#head === this.#values.length) this.clear()
    else if (this.#head > 1024 && this.#head * 2 > this.#values.length) {
      this.#values = this.#values.slice(this.#head)
      this.#head = 0
    }
    return value
  }

  /** Removes all values. An empty queue keeps no memory for those that it has had. */
  clear(): void {
    this.#values = []
    this.#head = 0
  }
}
