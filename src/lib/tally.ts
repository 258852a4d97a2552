/** Counts what is open, by whose it is, up to a limit. */
export interface Tally {
  /** @returns to be called once it is closed, or undefined if there is no room for it */
  take(key: string): (() => void) | undefined
  of(key: string): number
}

export function createTally(max: number): Tally {
  const counts = new Map<string, number>()
  return {
    take(key) {
      const count = counts.get(key) ?? 0
      if (count >= max) return undefined
      counts.set(key, count + 1)
      let isOpen = true
      return () => {
        if (!isOpen) return
        isOpen = false
        const left = (counts.get(key) ?? 1) - 1
        if (left > 0) counts.set(key, left)
        else counts.delete(key)
      }
    },
    of: key => counts.get(key) ?? 0,
  }
}
