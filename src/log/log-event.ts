import type { Unreadable } from '../filters/index.js'
import type { Position } from './position.js'

/** INSERT, UPDATE, DELETE, TRUNCATE of a watched table; `N`: an event published with `listenql.publish`. */
export type LogOperation = 'I' | 'U' | 'D' | 'T' | 'N'

/** One event of the log with its position. All subscribers share the object. */
export interface LogEvent {
  readonly position: Position
  /** `t`: a watched table, whose `topic` is its oid as text. `c`: a channel, whose `topic` is its name. */
  readonly kind: 't' | 'c'
  readonly topic: string
  /** The generation of the table: events of one generation have the same columns. */
  readonly generation: number
  readonly operation: LogOperation
  /** The row images as JSON text. Of a published event, `new` is the payload. */
  readonly old: string | null
  readonly new: string | null
  readonly at: Date
  /** Top-level transaction id (xid8) as text. */
  readonly transaction: string
  /** Why nothing of the event can be read. `old` and `new` are null then. */
  readonly unreadable?: Unreadable
}

/** An event without its images: a row of type listenql.delivery as pg returns it, with `int8` read as a number. */
export interface OutlineRow {
  readonly n: number
  readonly token: number
  readonly ord: number
  readonly statement: number
  readonly id: number
  readonly xid: string
  /** In seconds since 1970-01-01 UTC. */
  readonly at: number
  readonly kind: 't' | 'c'
  readonly topic: string
  readonly generation: number
  readonly operation: LogOperation
}

/** An event with those of its images that are small enough. */
export interface DeliveryRow extends OutlineRow {
  readonly old: string | null
  readonly new: string | null
  /** Whether an image was left out because it is too large. */
  readonly large: boolean
}

/** The images of an event, or why they cannot be read. */
export type Content = Pick<LogEvent, 'old' | 'new' | 'unreadable'>

export function toLogEvent(
  { n, token, ord, statement, id, xid, at, kind, topic, generation, operation }: OutlineRow,
  content: Content,
): LogEvent {
  const position = { n, token, ord, statement, id }
  return { position, kind, topic, generation, operation, at: toDate(at), transaction: xid, ...content }
}

/**
 * Truncates to milliseconds. Postgres has microseconds; half of one is added first because a double may lie slightly below the
 * exact value.
 */
function toDate(seconds: number): Date {
  return new Date(Math.floor(seconds * 1000 + 0.0005))
}
