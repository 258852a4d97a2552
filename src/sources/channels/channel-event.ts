import { JsonText, type Unreadable } from '../../filters/index.js'
import type { Cursors } from '../../log/cursors.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Position } from '../../log/position.js'

export interface ChannelEventOptions {
  readonly gap?: boolean
  readonly endsHistory?: boolean
  readonly position?: Position
  /** The cursor of the position. */
  readonly cursor?: string
  readonly at?: Date
  readonly unreadable?: Unreadable | undefined
}

/** One event of a channel. All subscribers share the object. */
export class ChannelEvent {
  readonly channel: string
  /** The text as sent; null on a gap, or if it cannot be read. */
  readonly payload: string | null
  /** True: events may have been missed before this point, because the LISTEN connection was lost or a history has ended. */
  readonly gap: boolean
  /** True: the history of the log has ended; positions before this point cannot be compared with later ones. */
  readonly endsHistory: boolean
  /** The cursor of the event; null for a plain NOTIFY, which Postgres does not keep. */
  readonly cursor: string | null
  readonly position: Position | undefined
  /** Why the payload cannot be read; it is null then. */
  readonly unreadable: Unreadable | undefined
  /** When the event was published, by the database's clock; for a plain NOTIFY, when this process received it. */
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

  /** The payload as a JSON value, parsed once for all subscribers; null if it is not JSON, or is the JSON value null. */
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
