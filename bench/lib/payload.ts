import { now } from './clock.js'

/** The byte `^`, which every event contains exactly once and nothing else contains. */
export const MARK = 0x5e
/** Number of digits after the mark: the time when the event was created, in µs of `now()`. */
export const DIGITS = 14
/** Characters in a payload. Anything shorter is a protocol message, not an event. */
export const PAYLOAD = 240

/** A payload of 240 characters that contains the time of its creation. JSON escapes none of the characters. */
export function payload(at: number = now()): string {
  return `^${digits(at)}`.padEnd(PAYLOAD, 'x')
}

export function digits(at: number): string {
  return String(Math.round(at)).padStart(DIGITS, '0')
}
