import type { Random } from '../random.js'
import type { Column, Schema } from './schema.js'

const TEXTS = ['Ann', 'ann', 'Bö', '', 'a%b', 'z', '\u{1f600}', '\uff5e']
const DAY_MS = 86_400_000
const FIRST_DAY = Date.UTC(2026, 0, 1)
/** Integers above this are not exact as numbers of JavaScript. */
const GREATEST_EXACT = 9007199254740991n
/** Decimals that the numbers of a run have at most. */
const DECIMALS = 4

/** A value of a column as Postgres prints it, drawn from few, so that writers meet each other's rows. */
export function randomValue(column: Column, { grades }: Pick<Schema, 'grades'>, random: Random): string {
  const i = random.int(1, column.domain)
  switch (column.type) {
    case 'int':
      return String(i - 2)
    case 'bigint':
      return String(i % 3 === 0 ? GREATEST_EXACT + BigInt(i) : BigInt(i))
    case 'numeric': {
      const number = String((i - 3) / 2)
      if (column.scale !== undefined) return Number(number).toFixed(column.scale)
      return random.chance(0.5) ? number : Number(number).toFixed(random.int(1, DECIMALS)) // 1, 1.0, 1.00
    }
    case 'text':
      return TEXTS[i % TEXTS.length] as string
    case 'bool':
      return String(i % 2 === 0)
    case 'grade':
      return grades[i % grades.length] as string
    case 'date':
      return new Date(FIRST_DAY + i * DAY_MS).toISOString().slice(0, 10)
  }
}

export function toSql(column: Pick<Column, 'type'>, value: string | null): string {
  if (value === null) return 'null'
  return column.type === 'int' || column.type === 'bigint' || column.type === 'numeric' ? value : `'${value}'`
}

export function toGraphql({ type }: Pick<Column, 'type'>, value: string): string {
  return type === 'int' || type === 'bool' || type === 'grade' ? value : JSON.stringify(value)
}

export function toJson({ type }: Pick<Column, 'type'>, value: string | null): unknown {
  if (value === null) return null
  if (type === 'int') return Number(value)
  return type === 'bool' ? value === 'true' : value
}

/** The one text that equal values have: 1.50 and 1.5 are 1.5. */
export function canonical({ type }: Pick<Column, 'type'>, value: string): string {
  return type === 'numeric' ? printDecimal(scaled(value)) : value
}

/** The text of a value in a row. Columns with a fixed scale are altered to another scale during a run, which writes no row. */
export function shown(column: Column, value: string): string {
  return column.scale === undefined ? value : canonical(column, value)
}

/** Negative if `a` comes before `b`, 0 if they are equal. Texts go by code point. */
export function compareValues(
  { type }: Pick<Column, 'type'>,
  { grades }: Pick<Schema, 'grades'>,
  a: string,
  b: string,
): number {
  switch (type) {
    case 'int':
    case 'bigint':
    case 'numeric':
      return compare(scaled(a), scaled(b))
    case 'text':
      return Buffer.compare(Buffer.from(a), Buffer.from(b)) // UTF-8 keeps the order of code points
    case 'grade':
      return compare(grades.indexOf(a), grades.indexOf(b))
    default:
      return compare(a, b)
  }
}

function compare<T>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const SCALE = 10n ** BigInt(DECIMALS)
/** Averages are compared with this many decimals, the rest is cut off. */
const AVERAGE_DECIMALS = 8

/** A number as a multiple of the smallest one. */
function scaled(text: string): bigint {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.')
  if (fraction.slice(DECIMALS).replaceAll('0', '')) throw new RangeError(`${text} has too many decimals`)
  const value = BigInt(whole) * SCALE + BigInt(fraction.slice(0, DECIMALS).padEnd(DECIMALS, '0'))
  return text.startsWith('-') ? -value : value
}

export function sumOf(texts: readonly string[]): string {
  return printDecimal(texts.reduce((total, text) => total + scaled(text), 0n))
}

export function averageOf(texts: readonly string[]): string {
  const total = texts.reduce((sum, text) => sum + scaled(text), 0n)
  const extra = AVERAGE_DECIMALS - DECIMALS
  return printDecimal((total * 10n ** BigInt(extra)) / BigInt(texts.length), AVERAGE_DECIMALS)
}

/** An average of Postgres in the same form. */
export function cutAverage(text: string): string {
  const [whole = '0', fraction = ''] = text.split('.')
  return withoutZeros(whole, fraction.slice(0, AVERAGE_DECIMALS))
}

function printDecimal(value: bigint, decimals = DECIMALS): string {
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, '0')
  return withoutZeros(`${value < 0n ? '-' : ''}${digits.slice(0, -decimals)}`, digits.slice(-decimals))
}

function withoutZeros(whole: string, fraction: string): string {
  const rest = fraction.replace(/0+$/, '')
  if (rest) return `${whole}.${rest}`
  return whole === '-0' ? '0' : whole
}
