import type { Unreadable } from '../filters/index.js'
import type { Position } from './position.js'

/** What the database did. `N`: something was published with `listenql.publish`. */
export type LogOperation = 'I' | 'U' | 'D' | 'T' | 'N'

/** One row of the event log, at its place in the order. One object serves all subscribers. */
export interface LogEvent {
  readonly position: Position
  /** `t`: a watched table, whose `topic` is its oid as text. `c`: a channel, whose `topic` is its name. */
  readonly kind: 't' | 'c'
  readonly topic: string
  /** Events of one generation of a table have the same columns. */
  readonly generation: number
  readonly operation: LogOperation
  /** Row images as JSON text; for what was published, `new` is the payload. */
  readonly old: string | null
  readonly new: string | null
  readonly at: Date
  /** Top-level transaction id (xid8) as text. */
  readonly transaction: string
  /** Why nothing of it could be read; `old` and `new` are null then. */
  readonly unreadable?: Unreadable
}

/** Where an event stands, and what it is, without what it holds: a row of listenql.delivery as pg gives it, with `int8` read as a number. */
export interface OutlineRow {
  readonly n: number
  readonly token: number
  readonly ord: number
  readonly statement: number
  readonly id: number
  readonly xid: string
  /** In s since 1970. */
  readonly at: number
  readonly kind: 't' | 'c'
  readonly topic: string
  readonly generation: number
  readonly operation: LogOperation
}

/** The same with its images, as far as they are small enough. */
export interface DeliveryRow extends OutlineRow {
  readonly old: string | null
  readonly new: string | null
  /** One of them is not: it was left out. */
  readonly large: boolean
}

/** What an event holds. */
export type Content = Pick<LogEvent, 'old' | 'new' | 'unreadable'>

export function toLogEvent(
  { n, token, ord, statement, id, xid, at, kind, topic, generation, operation }: OutlineRow,
  content: Content,
): LogEvent {
  const position = { n, token, ord, statement, id }
  return { position, kind, topic, generation, operation, at: toDate(at), transaction: xid, ...content }
}

/** To the millisecond, as the moment begins with; half a microsecond is what a number cannot tell. */
function toDate(seconds: number): Date {
  return new Date(Math.floor(seconds * 1000 + 0.0005))
}
