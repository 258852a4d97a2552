/** What is open under one key. The things that are open hold it, so that none of them needs a function of its own to be released. */
export interface Counted {
  readonly key: string
}

/** Counts open things by key, up to a limit. */
export interface Tally {
  /** @returns pass it to `release` once the thing is closed; undefined if there is no room for it */
  take(key: string): Counted | undefined
  /** Call it once for each `take`. */
  release(counted: Counted): void
}

/** @param max the limit, which may change: what is open stays open */
export function createTally(max: () => number): Tally {
  const all = new Map<string, { readonly key: string; open: number }>()
  return {
    take(key) {
      const counted = all.get(key) ?? { key, open: 0 }
      if (counted.open >= max()) return undefined
      if (counted.open++ === 0) all.set(key, counted)
      return counted
    },
    release({ key }) {
      const counted = all.get(key)
      if (counted && --counted.open === 0) all.delete(key)
    },
  }
}
