/** A Map from texts that takes little memory for a single entry, the most frequent case. */
export class FewMap<V> {
  /** The key of the only entry. Undefined: there is none, or there is a map. */
  #key: string | undefined
  #value: V | undefined
  #all: Map<string, V> | undefined

  get size(): number {
    if (this.#all) return this.#all.size
    return this.#key === undefined ? 0 : 1
  }

  get(key: string): V | undefined {
    if (this.#all) return this.#all.get(key)
    return this.#key === key ? this.#value : undefined
  }

  set(key: string, value: V): void {
    if (this.#all) this.#all.set(key, value)
    else if (this.#key === undefined || this.#key === key) this.#setOnly(key, value)
    else {
      this.#all = new Map([
        [this.#key, this.#value as V],
        [key, value],
      ])
      this.#setOnly(undefined, undefined)
    }
  }

  delete(key: string): void {
    if (this.#key === key) this.#setOnly(undefined, undefined)
    this.#all?.delete(key)
    if (this.#all?.size === 0) this.#all = undefined
  }

  /** The present keys, in the order in which they were added. */
  keys(): readonly string[] {
    if (this.#all) return [...this.#all.keys()]
    return this.#key === undefined ? [] : [this.#key]
  }

  /** The present values, in the order in which their keys were added. */
  values(): readonly V[] {
    if (this.#all) return [...this.#all.values()]
    return this.#key === undefined ? [] : [this.#value as V]
  }

  #setOnly(key: string | undefined, value: V | undefined): void {
    this.#key = key
    this.#value = value
  }
}
