import type { Work } from '../work.js'

/** Finds the first occurrence in a text, from an index on. @returns where it ends; -1 if there is none */
export type Find = (text: string, from: number, work: Work) => number

/** UTF-16 units that `indexOf` scans in a step. */
export const UNITS_PER_STEP = 8
/**
 * For texts of up to this many units, `indexOf` compares only a few at each index, whatever the texts are; for longer ones V8
 * gives no bound.
 */
const SHORT_UNITS = 8
/** Minimum cost of a comparison at an index, in steps. */
const TRY_STEPS = 4
/** Steps for comparisons in vain, in addition to as many as the text has units. */
const SPARE_STEPS = 64

/**
 * Searches first for how the occurrence begins, which is fast in natural texts; if that gives too many candidates, in one pass, which
 * is slower. Either way the number of steps is proportional to the text, whatever its contents.
 * @param start how it begins
 * @param size of all of it, in steps
 * @param endAt where it ends if it is at an index, else -1
 * @param inOnePass finds it from any index on
 */
export function findByStart(
  start: string,
  size: number,
  endAt: (text: string, at: number) => number,
  inOnePass: Find,
): Find {
  const wanted = start.slice(0, SHORT_UNITS)
  return (text, from, work) => {
    let tried = 0
    for (let next = from; ; ) {
      const at = text.indexOf(wanted, next)
      work.take(((at < 0 ? text.length : at) - next) / UNITS_PER_STEP + TRY_STEPS + (at < 0 ? 0 : size))
      if (at < 0) return -1
      const end = endAt(text, at)
      if (end >= 0) return end
      tried += TRY_STEPS + size
      next = at + 1
      if (tried > SPARE_STEPS + next - from) return inOnePass(text, next, work)
    }
  }
}

export function findText(wanted: string): Find {
  const { length } = wanted
  if (length <= SHORT_UNITS) {
    return (text, from, work) => {
      const at = text.indexOf(wanted, from)
      const end = at < 0 ? -1 : at + length
      work.take(((at < 0 ? text.length : end) - from) / UNITS_PER_STEP + 1)
      return end
    }
  }
  const endAt = (text: string, at: number) => (text.startsWith(wanted, at) ? at + length : -1)
  return findByStart(wanted, length / UNITS_PER_STEP, endAt, findInOnePass(wanted))
}

/** https://en.wikipedia.org/wiki/Knuth%E2%80%93Morris%E2%80%93Pratt_algorithm */
function findInOnePass(wanted: string): Find {
  const { length } = wanted
  let borders: Uint32Array | undefined // most searches never need them
  return (text, from, work) => {
    if (!borders) {
      work.take(2 * length)
      borders = bordersOf(wanted)
    }
    let matched = 0
    for (let at = from; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      while (matched > 0 && unit !== wanted.charCodeAt(matched)) matched = borders[matched - 1] as number
      if (unit === wanted.charCodeAt(matched)) matched++
      if (matched < length) continue
      work.take(2 * (at + 1 - from))
      return at + 1
    }
    work.take(2 * (text.length - from))
    return -1
  }
}

/** For each prefix of a text, the length of the longest shorter prefix that it also ends with. */
function bordersOf(text: string): Uint32Array {
  const borders = new Uint32Array(text.length)
  let length = 0
  for (let at = 1; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    while (length > 0 && unit !== text.charCodeAt(length)) length = borders[length - 1] as number
    if (unit === text.charCodeAt(length)) length++
    borders[at] = length
  }
  return borders
}
