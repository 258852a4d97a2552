/** Counts open things by key, up to a limit. */
export interface Tally {
  /** @returns call it once it is closed; undefined if there is no room for it */
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
