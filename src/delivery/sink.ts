import type { CutReason } from '../lib/observation.js'
import type { Frame } from './stream.js'
import type { Subscriber } from './subscriber.js'

/** Sends frames to the socket or response of one connection; implemented by the transports. */
export interface Sink {
  /** False while its buffer is full; the transport calls `Outbound.resume` when the sink takes more. */
  readonly writable: boolean
  /** Bytes in its own buffers and those of the socket. */
  readonly held: number
  /** Sends a frame of a subscription. Called only between `begin` and `end`, while writable. */
  frame(subscriber: Subscriber, frame: Frame): void
  /** Sends a message of the protocol, such as an acknowledgement. */
  control(text: string): void
  /** `begin` and `end` bracket the calls that make one write to the socket. */
  begin(): void
  end(): void
  /** Ends the connection with a code that makes the client reconnect. */
  cut(reason: CutReason): void
}
