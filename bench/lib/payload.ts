import { now } from './clock.js'

/** The byte that every event contains exactly once and nothing else does: `^`. */
export const MARK = 0x5e
/** Digits after the mark: when the event was made, in µs of `now()`. */
export const DIGITS = 14
/** Characters of a payload. Whatever is shorter than this is no event but a word of the protocol. */
export const PAYLOAD = 240

/** A payload of 240 characters, none of which JSON escapes, that tells when it was made. */
export function payload(at: number = now()): string {
  return `^${digits(at)}`.padEnd(PAYLOAD, 'x')
}

export function digits(at: number): string {
  return String(Math.round(at)).padStart(DIGITS, '0')
}
