import type { Column, TypeCategory } from '../postgres/types.js'
import { compareDecimals, decimalKey, readDecimal } from './decimal.js'
import { COMPARISONS, type Operand, type Operator } from './filter.js'
import type { Key } from './keys.js'
import { type CompareKeys, compareCodePoints, compareFloats, compareNatural, integerKey } from './keys.js'
import { foldCase } from './like/like.js'
import {
  type ReadMoment,
  readDate,
  readInterval,
  readTime,
  readTimestamp,
  readTimestamptz,
  readTimetz,
} from './moments.js'

/** How the values of a type are compared. */
export interface Comparison {
  readonly operators: readonly Operator[]
  /** The operand of a value, or why it is invalid, as a sentence without its subject: "… is not a uuid". */
  operand(value: unknown): Operand | string
  /** The key of a value from RowImage.get that is not null. */
  key(value: unknown): Key
  readonly compare: CompareKeys
}

const EQUALITY = ['eq', 'neq', 'in', 'notIn', 'isNull'] as const
const ORDER = [...COMPARISONS, 'in', 'notIn', 'isNull'] as const
const TEXT = [...ORDER, 'like', 'ilike'] as const

function integer(bits: 16 | 32): Comparison {
  const max = 2 ** (bits - 1) - 1
  const name = bits === 16 ? 'smallint (int2)' : 'integer (int4)'
  return {
    operators: ORDER,
    operand(value) {
      if (typeof value !== 'number' || !Number.isInteger(value)) return 'is not an integer'
      if (value > max || value < -max - 1) return `is out of the range of ${name}, ${-max - 1} to ${max}`
      return { key: value, text: String(value) }
    },
    key: value => value as number,
    compare: compareNatural,
  }
}

const int8: Comparison = {
  operators: ORDER,
  operand(value) {
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
      return 'has more digits than a JSON number keeps; give it as a string'
    if (typeof value !== 'bigint' && !Number.isInteger(value) && !isMatch(value, /^[+-]?\d{1,40}$/))
      return 'is not an integer'
    const exact = BigInt(String(value).replace(/^\+/, ''))
    if (BigInt.asIntN(64, exact) !== exact) return 'is out of the range of bigint (int8)'
    return { key: integerKey(exact), text: String(exact) }
  },
  key: value => {
    const text = value as string
    return text.length < 16 ? Number(text) : integerKey(BigInt(text))
  },
  compare: compareNatural,
}

const numeric: Comparison = {
  operators: ORDER,
  operand(value) {
    const text = typeof value === 'number' ? String(value) : value
    const decimal = typeof text === 'string' ? readDecimal(text) : undefined
    return decimal === undefined
      ? 'is not a decimal number of at most 1000 digits'
      : { key: decimal, text: decimal }
  },
  key: value => decimalKey(value as string),
  compare: compareDecimals,
}

function float(round: (value: number) => number, name: string): Comparison {
  return {
    operators: ORDER,
    operand(value) {
      const number = isMatch(value, /^(NaN|-?Infinity)$/) ? Number(value) : value
      if (typeof number !== 'number') return 'is not a number'
      const key = round(number)
      if (!Number.isFinite(key) && Number.isFinite(number)) return `is out of the range of ${name}`
      return { key, text: String(key) }
    },
    key: value => round(value as number),
    compare: compareFloats,
  }
}

/** A text type whose values are compared after `normalise`. */
function text(normalise: (value: string) => string): Comparison {
  return {
    operators: TEXT,
    operand(value) {
      const problem = badText(value)
      if (problem !== undefined) return problem
      const key = normalise(value as string)
      return { key, text: key }
    },
    key: value => normalise(value as string),
    compare: compareCodePoints,
  }
}

const other: Comparison = { ...text(value => value), operators: EQUALITY }

function moment(read: ReadMoment, problem: string): Comparison {
  return {
    operators: ORDER,
    operand(value) {
      const given = value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : value
      const key = typeof given === 'string' ? read(given) : undefined
      return key === undefined ? problem : { key, text: given as string }
    },
    key: value => {
      const key = read(value as string)
      if (key === undefined)
        throw new TypeError(`a row image holds ${JSON.stringify(value)}, which ${problem}`)
      return key
    },
    compare: compareNatural,
  }
}

const bool: Comparison = {
  operators: ORDER,
  operand: value =>
    typeof value === 'boolean' ? { key: Number(value), text: String(value) } : 'is not true or false',
  key: value => Number(value),
  compare: compareNatural,
}

const uuid: Comparison = {
  operators: ORDER,
  operand(value) {
    if (!isMatch(value, /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i))
      return 'is not a uuid, such as "f47ac10b-58cc-4372-a567-0e02b2c3d479"'
    const key = String(value).toLowerCase()
    return { key, text: key }
  },
  key: value => value as string,
  compare: compareNatural,
}

/** Base64 in filters and results; hex in images and for Postgres, which sorts like the bytes. */
const bytea: Comparison = {
  operators: ORDER,
  operand(value) {
    if (!isMatch(value, /^[A-Za-z\d+/]*={0,2}$/)) return 'is not base64'
    const bytes = Buffer.from(String(value), 'base64')
    if (bytes.toString('base64') !== value) return 'is not base64 with its padding'
    const key = `\\x${bytes.toString('hex')}`
    return { key, text: key }
  },
  key: value => value as string,
  compare: compareNatural,
}

function enumeration(labels: readonly string[]): Comparison {
  const order = new Map(labels.map((label, i) => [label, i]))
  return {
    operators: ORDER,
    operand(value) {
      const key = typeof value === 'string' ? order.get(value) : undefined
      return key === undefined ? `is not one of ${labels.join(', ')}` : { key, text: String(value) }
    },
    // A label that was just added has no known position: it equals no operand, and is neither above nor below one.
    key: value => order.get(value as string) ?? Number.NaN,
    compare: compareNatural,
  }
}

/**
 * Only isNull: json has no equality in Postgres, and the equality of arrays and composites depends on more than their JSON
 * shows.
 */
const opaque: Comparison = {
  operators: ['isNull'],
  operand: () => 'cannot be compared',
  key: () => {
    throw new TypeError('values of this type are not compared')
  },
  compare: compareNatural,
}

const COMPARISON: Readonly<Record<Exclude<TypeCategory, 'enum'>, Comparison>> = {
  bool,
  bpchar: text(withoutEndSpaces),
  bytea,
  citext: text(foldCase),
  composite: opaque,
  date: moment(readDate, 'is not a date, such as "2026-11-22"'),
  float4: float(Math.fround, 'real (float4)'),
  float8: float(value => value, 'double precision (float8)'),
  int2: integer(16),
  int4: integer(32),
  int8,
  interval: moment(readInterval, 'is not an ISO 8601 duration, such as "P1DT2H30M"'),
  json: opaque,
  numeric,
  other,
  text: text(value => value),
  time: moment(readTime, 'is not a time, such as "22:41:00.123456"'),
  timestamp: moment(
    readTimestamp,
    'is not a timestamp without an offset, such as "2026-11-22T22:41:00.123456"',
  ),
  timestamptz: moment(
    readTimestamptz,
    'is not a timestamp with an offset, such as "2026-11-22T22:41:00.123456Z"',
  ),
  timetz: moment(readTimetz, 'is not a time with an offset, such as "22:41:00+01:00"'),
  uuid,
}

export function comparisonOf({ category, isArray, enumLabels }: Column): Comparison {
  if (isArray) return opaque
  return category === 'enum' ? enumeration(enumLabels ?? []) : COMPARISON[category]
}

/** @returns the operand of a value, or why it is invalid; see `Comparison.operand` */
export function operandOf(column: Column, value: unknown): Operand | string {
  return comparisonOf(column).operand(value)
}

/** In one pass: `/ +$/` scans each run of spaces again from each of its positions. */
function withoutEndSpaces(text: string): string {
  let end = text.length
  while (text.charCodeAt(end - 1) === 0x20) end--
  return text.slice(0, end)
}

/** What is wrong with a value that should be a text in Postgres; undefined: nothing. */
export function badText(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'is not a string'
  if (value.includes('\0')) return 'has a zero character, which no text in Postgres can have'
  if (/\p{Surrogate}/u.test(value)) return 'is not well-formed Unicode: half of a surrogate pair is missing'
  return
}

function isMatch(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value)
}
