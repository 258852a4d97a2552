/** A Set that takes little memory for a single value, the most frequent case. */
export class FewSet<T extends object> implements Iterable<T> {
  #values: T | Set<T> | undefined

  get size(): number {
    const values = this.#values
    if (values instanceof Set) return values.size
    return values === undefined ? 0 : 1
  }

  /** The only value. Undefined: there is none, or `many` has the values. */
  get only(): T | undefined {
    const values = this.#values
    return values instanceof Set ? undefined : values
  }

  /** The values unless there is an `only` one. An iteration reaches values that are added meanwhile. */
  get many(): ReadonlySet<T> {
    const values = this.#values
    return values instanceof Set ? values : NONE
  }

  add(value: T): void {
    const values = this.#values
    if (values instanceof Set) values.add(value)
    else if (values === undefined) this.#values = value
    else if (values !== value) this.#values = new Set([values, value])
  }

  /** @returns whether the set contained it */
  delete(value: T): boolean {
    const values = this.#values
    if (values instanceof Set) return values.delete(value)
    if (values !== value) return false
    this.#values = undefined
    return true
  }

  clear(): void {
    this.#values = undefined
  }

  /** The present values, in the order in which they were added. */
  [Symbol.iterator](): Iterator<T> {
    const values = this.#values
    const all = values === undefined ? [] : values instanceof Set ? [...values] : [values]
    return all[Symbol.iterator]()
  }
}

const NONE: ReadonlySet<never> = new Set()
