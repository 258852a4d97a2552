import type { Key } from './keys.js'

/** Most digits of a numeric in a filter, in plain notation. (A numeric may have 131,072 before the point.) */
const MAX_DIGITS = 1000

/** The key of a numeric as Postgres writes it: its text without trailing zeros. */
export function decimalKey(text: string): Key {
  if (!text.includes('.')) return text
  let end = text.length
  while (text.charCodeAt(end - 1) === 0x30) end--
  if (text.charCodeAt(end - 1) === 0x2e) end--
  return text.slice(0, end)
}

/** Converts a decimal (`+01.50`, `1e3`, `.5`) into its key, the one normal form; undefined if it is not a decimal, or too long. */
export function readDecimal(text: string): string | undefined {
  const special = /^([+-]?)(nan|inf(?:inity)?)$/i.exec(text)
  if (special) {
    if (special[2]?.toLowerCase() === 'nan') return special[1] ? undefined : 'NaN'
    return special[1] === '-' ? '-Infinity' : 'Infinity'
  }
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text)
  if (!match || text.length > MAX_DIGITS) return
  const [, sign, integer = '', fraction = '', exponent = '0'] = match
  const digits = integer + fraction
  const point = integer.length + Number(exponent)
  if (digits === '' || Math.abs(point) > MAX_DIGITS) return
  const padded = '0'.repeat(Math.max(0, -point)) + digits + '0'.repeat(Math.max(0, point - digits.length))
  const at = Math.max(0, point)
  const whole = padded.slice(0, at).replace(/^0+/, '') || '0'
  const rest = padded.slice(at).replace(/0+$/, '')
  const magnitude = rest ? `${whole}.${rest}` : whole
  return sign === '-' && magnitude !== '0' ? `-${magnitude}` : magnitude
}

/** Orders keys of numerics exactly as Postgres does, with NaN above Infinity. */
export function compareDecimals(a: Key, b: Key): number {
  if (a === b) return 0
  const x = String(a)
  const y = String(b)
  const rankX = rank(x)
  const rankY = rank(y)
  if (rankX !== rankY || rankX > 1 || rankX < -1) return rankX - rankY
  return rankX < 0 ? compareMagnitudes(y, x, 1) : compareMagnitudes(x, y, 0)
}

/** NaN 3, Infinity 2, zero and above 1, below zero -1, -Infinity -2. */
function rank(text: string): number {
  const first = text.charCodeAt(0)
  if (first === 0x4e) return 3
  if (first === 0x49) return 2
  if (first !== 0x2d) return 1
  return text.charCodeAt(1) === 0x49 ? -2 : -1
}

/** Without leading zeros, a longer integer part is greater; at equal length the texts compare from left to right. */
function compareMagnitudes(a: string, b: string, skip: number): number {
  const length = integerLength(a) - integerLength(b)
  if (length !== 0) return length
  const x = skip ? a.slice(skip) : a
  const y = skip ? b.slice(skip) : b
  return x < y ? -1 : x > y ? 1 : 0
}

function integerLength(text: string): number {
  const point = text.indexOf('.')
  return point < 0 ? text.length : point
}
