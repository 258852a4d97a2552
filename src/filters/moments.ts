import { daysSince1970, readUsualMoment } from './calendar.js'
import { integerKey, type Key } from './keys.js'

const SECOND_US = 1_000_000
const DAY_US = 86_400 * SECOND_US

/** Postgres's range of dates, in days, and of timestamps, in microseconds, both since 1970 (datatype/timestamp.h). */
const FIRST_DAY = -2_440_588
const LAST_DAY = 2_145_042_905
const FIRST_MOMENT = -210_866_803_200_000_000n
const END_OF_MOMENTS = 9_224_318_016_000_000_000n

const DATE = /^(\d{4}|[1-9]\d{4,6})-(\d\d)-(\d\d)$/
const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/
const OFFSET = /(?:[Zz]|[+-]\d\d(?::?\d\d(?::\d\d)?)?)$/
const INTERVAL =
  /^P(?:(-?\d{1,10})Y)?(?:(-?\d{1,10})M)?(?:(-?\d{1,10})W)?(?:(-?\d{1,10})D)?(T(?:(-?\d{1,10})H)?(?:(-?\d{1,10})M)?(?:(-?)(\d{1,10})(?:\.(\d{1,6}))?S)?)?$/

/**
 * The readers below accept the texts that Postgres writes into JSON, and operands of filters; undefined: not a value of the
 * type.
 */
export type ReadMoment = (text: string) => Key | undefined

/** Days since 1970-01-01. */
export const readDate: ReadMoment = text => infinity(text) ?? dateOf(text)

/** Microseconds since 1970-01-01T00:00:00. */
export const readTimestamp: ReadMoment = text => {
  const known = readUsualMoment(text, text.length) ?? infinity(text)
  if (known !== undefined) return known
  const { moment, bc } = splitEra(text)
  return momentOf(moment, bc, 0)
}

/** Like `readTimestamp`, for a text with an offset, in UTC. */
export const readTimestamptz: ReadMoment = text => {
  const usual = text.endsWith('+00:00') ? readUsualMoment(text, text.length - 6) : undefined
  const known = usual ?? infinity(text)
  if (known !== undefined) return known
  const { moment, bc } = splitEra(text)
  const { local, offset } = splitOffset(moment)
  return offset === undefined ? undefined : momentOf(local, bc, offset)
}

/** Microseconds since midnight, up to and including 24:00:00. */
export const readTime: ReadMoment = timeOf

/** Postgres orders timetz by the time in UTC, then by the zone, the east first. */
export const readTimetz: ReadMoment = text => {
  const { local, offset } = splitOffset(text)
  const time = timeOf(local)
  if (time === undefined || offset === undefined) return
  return integerKey(BigInt(time - offset * SECOND_US) * 131_072n - BigInt(offset))
}

/**
 * Microseconds, with 30 days to a month and 24 hours to a day, as Postgres compares intervals. ISO 8601, each part with its own
 * sign.
 */
export const readInterval: ReadMoment = text => {
  const endless = infinity(text)
  if (endless !== undefined) return endless
  const match = INTERVAL.exec(text)
  if (!match || text === 'P' || text.endsWith('T')) return
  const [, years, months, weeks, days, , hours, minutes, sign, seconds, fraction] = match
  const allMonths = integer(years) * 12 + integer(months)
  const allDays = integer(weeks) * 7 + integer(days)
  if (Math.abs(allMonths) > 2 ** 31 || Math.abs(allDays) > 2 ** 31) return
  const part = BigInt(seconds ?? 0) * 1_000_000n + BigInt((fraction ?? '').padEnd(6, '0'))
  const rest = BigInt(integer(hours)) * 3_600_000_000n + BigInt(integer(minutes)) * 60_000_000n
  const time = rest + (sign === '-' ? -part : part)
  return integerKey((BigInt(allMonths) * 30n + BigInt(allDays)) * BigInt(DAY_US) + time)
}

function integer(text: string | undefined): number {
  return text === undefined ? 0 : Number(text)
}

function infinity(text: string): number | undefined {
  if (text === 'infinity') return Number.POSITIVE_INFINITY
  if (text === '-infinity') return Number.NEGATIVE_INFINITY
  return
}

function splitEra(text: string): { moment: string; bc: boolean } {
  const bc = text.endsWith(' BC')
  return { moment: bc ? text.slice(0, -3) : text, bc }
}

/** Seconds east of UTC. */
function splitOffset(text: string): { local: string; offset: number | undefined } {
  const match = OFFSET.exec(text)
  if (!match) return { local: text, offset: undefined }
  const [offset] = match
  const local = text.slice(0, -offset.length)
  if (offset === 'Z' || offset === 'z') return { local, offset: 0 }
  const digits = offset.replaceAll(':', '').slice(1).padEnd(6, '0')
  const [hours, minutes, seconds] = [digits.slice(0, 2), digits.slice(2, 4), digits.slice(4)].map(Number)
  if (hours! > 15 || minutes! > 59 || seconds! > 59) return { local, offset: undefined }
  const size = hours! * 3600 + minutes! * 60 + seconds!
  return { local, offset: offset.startsWith('-') ? -size : size }
}

function dateOf(text: string): number | undefined {
  const { moment, bc } = splitEra(text)
  const days = dayOf(moment, bc)
  return days === undefined || days < FIRST_DAY || days > LAST_DAY ? undefined : days
}

function momentOf(text: string, bc: boolean, offset: number): Key | undefined {
  const middle = text.indexOf('T') < 0 ? text.indexOf(' ') : text.indexOf('T')
  if (middle < 0) return
  const days = dayOf(text.slice(0, middle), bc)
  const time = timeOf(text.slice(middle + 1))
  if (days === undefined || time === undefined) return
  const rest = time - offset * SECOND_US
  if (Math.abs(days) < 100_000) return days * DAY_US + rest // exact as a number
  const exact = BigInt(days) * BigInt(DAY_US) + BigInt(rest)
  return exact < FIRST_MOMENT || exact >= END_OF_MOMENTS ? undefined : integerKey(exact)
}

function timeOf(text: string): number | undefined {
  const match = TIME.exec(text)
  if (!match) return
  const [, hours, minutes, seconds = '0', fraction = ''] = match
  if (Number(minutes) > 59 || Number(seconds) > 59) return
  const micros =
    (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * SECOND_US +
    Number(fraction.padEnd(6, '0'))
  return micros > DAY_US ? undefined : micros
}

function dayOf(text: string, bc: boolean): number | undefined {
  const match = DATE.exec(text)
  const shown = Number(match?.[1] ?? 0)
  return shown === 0
    ? undefined
    : daysSince1970(bc ? 1 - shown : shown, Number(match?.[2]), Number(match?.[3]))
}
