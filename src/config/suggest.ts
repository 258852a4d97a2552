/** An existing name, and other spellings of it for suggestions. */
export interface Candidate {
  readonly name: string
  readonly also?: readonly string[]
}

/** `; did you mean --port?`, for the end of a message; empty if no candidate is similar. */
export function didYouMean(word: string, candidates: readonly (Candidate | string)[]): string {
  const name = nearest(word, candidates)
  return name === undefined ? '' : `; did you mean ${name}?`
}

/** The candidate that `word` is most likely a misspelling of. Case, dashes and underscores make no difference. */
export function nearest(word: string, candidates: readonly (Candidate | string)[]): string | undefined {
  const wanted = simplify(word)
  let best: { name: string; distance: number } | undefined
  for (const candidate of candidates) {
    const { name, also = [] } = typeof candidate === 'string' ? { name: candidate } : candidate
    for (const spelling of [name, ...also]) {
      const distance = editDistance(wanted, simplify(spelling))
      if (distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { name, distance }
    }
  }
  // One typo in a short word, two from six characters on, three from nine.
  return best && best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.name : undefined
}

function simplify(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let distance = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1)
      }
      row.push(distance)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
