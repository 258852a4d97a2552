import { ListenqlError } from '../lib/errors.js'

/**
 * Why a value is missing: its size in bytes as text (a bytea as hexadecimal text), if it is too large for the event log or to be read; `encoding`, if it is not text in
 * the encoding of the database; `lost`, if Postgres itself cannot read it.
 */
export type Unreadable = number | 'encoding' | 'lost'

/**
 * The member of an image that names the columns whose values are missing, with the reason for each: `{"id":1,"doc":null,
 * "":{"doc":188743680}}`. No column can have the empty name. The event log has it as well (sql/migrations/0012_reading.sql).
 */
export const UNREADABLE_MEMBER = ''

/** @param text the value of that member */
export function readUnreadable(text: string): [string, Unreadable][] {
  return Object.entries(JSON.parse(text) as Record<string, Unreadable>)
}

/** A sentence without its subject. */
export function unreadableWords(reason: Unreadable): string {
  if (typeof reason === 'number') return `has ${reason} bytes as text, which is too much to be delivered`
  return reason === 'encoding' ? 'is not valid text in the encoding of the database' : 'cannot be read'
}

/** @param column its name in the table */
export function unreadableError(column: string, reason: Unreadable): ListenqlError {
  return new ListenqlError('VALUE_NOT_SHOWN', `the value of column ${column} ${unreadableWords(reason)}`)
}
