import { ListenqlError, messageOf } from '../lib/errors.js'

/** Converts an event's `detail` into a payload and back. JSON is one. */
export interface Serializer {
  /** Returns the payload; 7,999 bytes of UTF-8 at most. What it throws is reported as PAYLOAD_INVALID. */
  readonly stringify: (detail: unknown) => string
  /** Returns the `detail` of a payload. What it throws is reported as PAYLOAD_INVALID. */
  readonly parse: (payload: string) => unknown
}

/** @throws ListenqlError PAYLOAD_INVALID if the detail is not serialisable, such as a function or a cyclic object. */
export function toPayload(serializer: Serializer, detail: unknown): string {
  try {
    const payload: unknown = serializer.stringify(detail)
    if (typeof payload === 'string') return payload
  } catch (cause) {
    throw new ListenqlError('PAYLOAD_INVALID', `the detail is not serialisable: ${messageOf(cause)}`, {
      cause,
    })
  }
  throw new ListenqlError('PAYLOAD_INVALID', `the detail, a ${typeof detail}, is not serialisable`)
}

/** @throws ListenqlError PAYLOAD_INVALID if the payload does not parse; every client of the database may notify any payload. */
export function toEvent(serializer: Serializer, channel: string, payload: string): CustomEvent {
  try {
    return new CustomEvent(channel, { detail: serializer.parse(payload) })
  } catch (cause) {
    const message = `a payload on channel '${channel}' does not parse: ${messageOf(cause)}`
    throw new ListenqlError('PAYLOAD_INVALID', message, { cause })
  }
}
