/** A Set that takes little memory for a single value, the most frequent case. */
export class FewSet<T extends object> implements Iterable<T> {
  #values: T | Set<T> | undefined

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

  /** The present values. */
  [Symbol.iterator](): Iterator<T> {
    const values = this.#values
    const all = values === undefined ? [] : values instanceof Set ? [...values] : [values]
    return all[Symbol.iterator]()
  }
}
