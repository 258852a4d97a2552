/** Reproducible random numbers: the same seed gives the same numbers. */
export interface Random {
  /** From 0 up to, and not including, 1. */
  next(): number
  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number
  /** True with the given probability, 0 to 1. */
  chance(probability: number): boolean
  pick<T>(choices: readonly T[]): T
  shuffle<T>(values: readonly T[]): T[]
}

/** Each actor has its own sequence, so that its schedule does not depend on the speed of another. */
export function createRandom(seed: number, actor: string): Random {
  let state = seed >>> 0
  for (const char of actor) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0

  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    int,
    chance: probability => next() < probability,
    pick: <T>(choices: readonly T[]) => choices[int(0, choices.length - 1)] as T,
    shuffle<T>(values: readonly T[]) {
      const shuffled = [...values]
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = int(0, i)
        ;[shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T]
      }
      return shuffled
    },
  }
}
