/** One event of a channel. One object serves all subscribers. */
export class ChannelEvent {
  readonly channel: string
  /** The text as sent; null on a gap. */
  readonly payload: string | null
  /** True: the LISTEN connection was lost, notifications may have been missed before this point. */
  readonly gap: boolean
  /** Position in the event log; null for a plain NOTIFY, of which Postgres keeps nothing. */
  readonly cursor: string | null = null
  /** When this process received it. */
  readonly at = new Date()
  #json: unknown

  constructor(channel: string, payload: string | null, gap = false) {
    this.channel = channel
    this.payload = payload
    this.gap = gap
  }

  /** The payload parsed, once for all who ask; null if it is not JSON. */
  get json(): unknown {
    if (this.#json === undefined) this.#json = this.payload === null ? null : parse(this.payload)
    return this.#json
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
