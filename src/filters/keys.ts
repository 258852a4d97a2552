/**
 * What values of a column are compared by. Two values of a column are equal in Postgres if and only if their keys are
 * the same value (as in a Map, where NaN equals NaN), whatever their texts: 1.50 and 1.5, or 24 hours and a day.
 */
export type Key = string | number | bigint

/** Less than, equal to or greater than zero; NaN if the order is unknown. */
export type CompareKeys = (a: Key, b: Key) => number

export function sameKey(a: Key, b: Key): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b))
}

/** For keys that are all texts or all numbers; a number and a bigint compare by value. */
export function compareNatural(a: Key, b: Key): number {
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN
}

/** As Postgres orders floats: NaN is above Infinity. */
export function compareFloats(a: Key, b: Key): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1
  return Number.isNaN(b) ? -1 : compareNatural(a, b)
}

/** By code point, like COLLATE "C" in a UTF-8 database. JavaScript's own order, by UTF-16 unit, puts U+10000 before U+E000. */
export function compareCodePoints(a: Key, b: Key): number {
  if (typeof a !== 'string' || typeof b !== 'string') return compareNatural(a, b)
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? raise(x) - raise(y) : x - y
  }
  return a.length - b.length
}

/** Moves surrogates above the rest of the basic plane. */
function raise(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000
}

/** A number if that is exact, so that an integer has only one key. */
export function integerKey(value: bigint): Key {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}
