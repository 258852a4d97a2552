import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.js'
import { inRange, quote, scalar, type ValueType } from './value-type.js'

/** Longest delay of a timer in Node: about 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1
const HOUR_MS = 3_600_000
/** Ten years. */
const MAX_PERIOD_MS = 87_600 * HOUR_MS

/**
 * Durations need a unit everywhere: a bare number could mean seconds or milliseconds.
 * @param range as text, with units
 */
function milliseconds(min: number, max: number, range: string): ValueType<number> {
  const fits = (text: string) => {
    const ms = parseDuration(text)
    return ms !== undefined && ms >= min && ms <= max
  }
  const wanted = `must be a duration from ${range}, such as ${either(['500ms', '10s', '2m', '1h'].filter(fits))}`
  /** The message about a number without a unit: the ways to write it. */
  const withUnit = (given: string) => {
    const number = given.trim()
    const meant = /^\d+(\.\d+)?$/.test(number) ? UNITS.map(unit => number + unit).filter(fits) : []
    return meant.length === 0 ? wanted : `must have a unit: ${either(meant)}`
  }
  const type: ValueType<number> = scalar({
    placeholder: 'DURATION',
    parse: given => inRange(parseDuration(given), min, max, withUnit(given)),
    fromToml(value) {
      if (typeof value !== 'string') throw new Error(`${withUnit(String(value))}, in quotes`)
      return type.parse(value)
    },
    check: value => inRange(value, min, max, `must be whole milliseconds from ${min} to ${max}`),
    format: value => quote(formatDuration(value)),
  })
  return type
}

const UNITS = ['ms', 's', 'm', 'h'] as const

function either(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

/** A wait in milliseconds; never zero, which would mean no time limit. */
export const duration = milliseconds(1, MAX_TIMER_MS, '1ms to 24 days')

/** A time in milliseconds for which something is kept. */
export const period = milliseconds(1000, MAX_PERIOD_MS, '1s to 10 years (87600h)')

/** A wait in milliseconds that may be left out: with 0, a command tries once, and a server stops at once. */
export const patience = milliseconds(0, 24 * HOUR_MS, '0s to 24h')

function size(min: number, words: string): ValueType<number> {
  const fits = (text: string) => (parseBytes(text) ?? 0) >= min
  const examples = ['1048576', '512KiB', '16MiB', '8MB'].filter(fits)
  const wanted = `must be a number of bytes from ${words} on, such as ${either(examples)}`
  return scalar({
    placeholder: 'BYTES',
    parse: given => inRange(parseBytes(given), min, Number.MAX_SAFE_INTEGER, wanted),
    check: value => inRange(value, min, Number.MAX_SAFE_INTEGER, wanted),
    format: value => quote(formatBytes(value)),
  })
}

export const bytes = size(1, '1')

/** Bytes on a disk: one megabyte or more, so that a forgotten unit is noticed. */
export const diskBytes = size(2 ** 20, '1MiB')
