import type { Find } from './find-text.js'

/** Code points, with null for any code point. */
export type Gapped = readonly (number | null)[]

const WORD_BITS = 32
/** Steps for each code point, in addition to those for its words. */
const BASE_STEPS = 2
/** Number of steps that are counted at once. */
const COUNT_EVERY_STEPS = 4096

/**
 * Finds a text in which null stands for any code point. All possible beginnings are tracked at the same time, as bits
 * (https://en.wikipedia.org/wiki/Bitap_algorithm): a step for each code point and 32 of `wanted`, whatever they are.
 * @param length of `wanted`, in code points
 */
export function findWithGaps(length: number, wanted: () => Gapped): Find {
  const words = Math.ceil(length / WORD_BITS)
  const lastBit = 1 << ((length - 1) % WORD_BITS)
  /** Bit i: the last code points are the first i + 1 of `wanted`. Calls do not overlap, so they can share it. */
  let state: Uint32Array | undefined
  let masks: Masks | undefined // most searches never need them
  return (text, from, work) => {
    masks ??= masksOf(wanted(), words)
    state ??= new Uint32Array(words)
    const { any, dense, sparse } = masks
    state.fill(0)
    let steps = length
    /** Words after this one are zero. */
    let top = 0
    for (let at = from; at < text.length; ) {
      const codePoint = text.codePointAt(at) as number
      at += codePoint > 0xffff ? 2 : 1
      const mask = dense.get(codePoint)
      const places = mask ? NONE : (sparse.get(codePoint) ?? NONE)
      const end = Math.min(top + 2, words)
      let carry = 1
      let highest = 0
      let next = 0
      for (let word = 0; word < end; word++) {
        const before = state[word] as number
        const shifted = (before << 1) | carry
        carry = before >>> 31
        let kept = shifted & ((mask ?? any)[word] as number)
        for (; (places[next] ?? Number.POSITIVE_INFINITY) < (word + 1) * WORD_BITS; next++)
          kept |= shifted & (1 << ((places[next] as number) % WORD_BITS))
        state[word] = kept
        if (kept !== 0) highest = word
      }
      top = highest
      steps += BASE_STEPS + end + next
      if (((state[words - 1] as number) & lastBit) !== 0) {
        work.take(steps)
        return at
      }
      if (steps > COUNT_EVERY_STEPS) {
        work.take(steps)
        steps = 0
      }
    }
    work.take(steps)
    return -1
  }
}

const NONE: readonly number[] = []

interface Masks {
  readonly any: Uint32Array
  readonly dense: ReadonlyMap<number, Uint32Array>
  readonly sparse: ReadonlyMap<number, readonly number[]>
}

/**
 * The positions of each code point: as bits for frequent ones, as a list for the others. Bits for all of them would take the
 * square of the length.
 */
function masksOf(wanted: Gapped, words: number): Masks {
  const any = new Uint32Array(words)
  const places = new Map<number, number[]>()
  for (const [place, codePoint] of wanted.entries()) {
    if (codePoint === null) set(any, place)
    else {
      const known = places.get(codePoint)
      if (known) known.push(place)
      else places.set(codePoint, [place])
    }
  }
  const dense = new Map<number, Uint32Array>()
  const sparse = new Map<number, readonly number[]>()
  for (const [codePoint, all] of places) {
    if (words > 1 && all.length < words) sparse.set(codePoint, all)
    else {
      const mask = any.slice()
      for (const place of all) set(mask, place)
      dense.set(codePoint, mask)
    }
  }
  return { any, dense, sparse }
}

function set(bits: Uint32Array, place: number): void {
  const word = Math.floor(place / WORD_BITS)
  bits[word] = (bits[word] as number) | (1 << (place % WORD_BITS))
}
