const SECOND_US = 1_000_000
const DAY_US = 86_400 * SECOND_US

/**
 * Days since 1970-01-01 in the Gregorian calendar, which Postgres extends to earlier times; the year before 1 is 0.
 * Undefined if there is no such day. Computed in eras of 400 years.
 */
export function daysSince1970(year: number, month: number, day: number): number | undefined {
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return
  const shifted = month > 2 ? year : year - 1 // years that begin in March end with their leap day
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/**
 * Microseconds since 1970 of `2026-11-22T22:41:00.123456`, the form of nearly all timestamps, up to `end`; undefined for any
 * other form, which may still be a timestamp. The filter of every subscriber needs it, and regular expressions take 2 µs.
 */
export function readUsualMoment(text: string, end: number): number | undefined {
  const year = digits(text, 0) * 100 + digits(text, 2)
  const hour = digits(text, 11)
  const minute = digits(text, 14)
  const second = digits(text, 17)
  // NaN, for characters that are no digits, fails these.
  if (!(year >= 1800 && year < 2200 && hour < 24 && minute < 60 && second < 60)) return
  if (end < 19 || end === 20 || end > 26 || !isPunctuated(text, end)) return
  let fraction = 0
  for (let at = 20; at < 26; at++) {
    const digit = at < end ? text.charCodeAt(at) - 0x30 : 0
    if (!(digit >= 0 && digit <= 9)) return
    fraction = fraction * 10 + digit
  }
  const days = daysSince1970(year, digits(text, 5), digits(text, 8))
  return days === undefined
    ? undefined
    : days * DAY_US + (hour * 3600 + minute * 60 + second) * SECOND_US + fraction
}

function isPunctuated(text: string, end: number): boolean {
  const middle = text.charCodeAt(10)
  return (
    text.charCodeAt(4) === 0x2d &&
    text.charCodeAt(7) === 0x2d &&
    (middle === 0x54 || middle === 0x20) &&
    text.charCodeAt(13) === 0x3a &&
    text.charCodeAt(16) === 0x3a &&
    (end === 19 || text.charCodeAt(19) === 0x2e)
  )
}

/** The number of two digits at `at`; NaN if they are not digits. */
function digits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 0x30
  const ones = text.charCodeAt(at + 1) - 0x30
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
