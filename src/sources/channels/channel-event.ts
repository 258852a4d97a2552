import { JsonText, type Unreadable } from '../../filters/index.js'
import type { Cursors } from '../../log/cursors.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Position } from '../../log/position.js'

export interface ChannelEventOptions {
  readonly gap?: boolean
  readonly endsHistory?: boolean
  readonly position?: Position
  /** Of the position. */
  readonly cursor?: string
  readonly at?: Date
  readonly unreadable?: Unreadable | undefined
}

/** One event of a channel. One object serves all subscribers. */
export class ChannelEvent {
  readonly channel: string
  /** The text as sent; null on a gap, or if it could not be read. */
  readonly payload: string | null
  /** True: the LISTEN connection was lost, notifications may have been missed before this point. */
  readonly gap: boolean
  /** True: the event log that was followed is gone; positions before this point say nothing about what comes after it. */
  readonly endsHistory: boolean
  /** Position in the event log; null for a plain NOTIFY, of which Postgres keeps nothing. */
  readonly cursor: string | null
  readonly position: Position | undefined
  /** Why the payload could not be read; it is null then. */
  readonly unreadable: Unreadable | undefined
  /** When this process received it; when it was published, by the database's clock, if it is in the log. */
  readonly at: Date
  #json: JsonText | null | undefined

  constructor(channel: string, payload: string | null, options: ChannelEventOptions = {}) {
    this.channel = channel
    this.payload = payload
    this.gap = options.gap ?? false
    this.endsHistory = options.endsHistory ?? false
    this.position = options.position
    this.unreadable = options.unreadable
    this.cursor = options.cursor ?? null
    this.at = options.at ?? new Date()
  }

  static ofLog(
    { topic, new: payload, position, at, unreadable }: LogEvent,
    cursors: Pick<Cursors, 'encode'>,
  ): ChannelEvent {
    return new ChannelEvent(topic, payload, { position, cursor: cursors.encode(position), at, unreadable })
  }

  /** The payload as a JSON value, made once for all subscribers; null if it is not JSON, or the JSON value null. */
  get json(): JsonText | null {
    if (this.#json === undefined) this.#json = this.payload === null ? null : parse(this.payload)
    return this.#json
  }
}

function parse(text: string): JsonText | null {
  try {
    return JSON.parse(text) === null ? null : new JsonText(text)
  } catch {
    return null
  }
}
