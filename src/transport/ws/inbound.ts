import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'

/** The client whose bytes are counted. */
export interface InboundOwner {
  readonly connection: { readonly owner: string }
  /** There is no memory for more of a message that is arriving. Called once. */
  onExcess(excess: LimitExceeded): void
  /** Stops counting what arrives: the connection is being closed. */
  ignoreInbound(): void
}

/** Less is not counted: nearly all messages arrive whole, and at once. */
const SMALL_BYTES = 16 * 1024
/** Header and mask of a client's control frame (https://www.rfc-editor.org/rfc/rfc6455#section-5.2). */
const CONTROL_HEADER_BYTES = 6

/**
 * Counts the bytes of a message that is not complete yet: ws buffers them and does not report them. When a message is complete, the
 * last bytes may belong to the next one, and stay counted.
 */
export class InboundBytes {
  readonly #client: InboundOwner
  readonly #memory: ClientMemory
  #pending = 0
  #last = 0
  /** Undefined: no message was large. */
  #held: Hold | undefined

  constructor(client: InboundOwner, memory: ClientMemory) {
    this.#client = client
    this.#memory = memory
  }

  /** The socket has received a chunk. */
  arrived({ length }: Buffer): void {
    this.#last = length
    this.#pending += length
    if (this.#pending > SMALL_BYTES) this.#count()
  }

  /** A control frame has arrived. */
  control({ length }: Buffer): void {
    this.#pending -= Math.min(this.#pending, CONTROL_HEADER_BYTES + length)
  }

  messageEnded(): void {
    const wasCounted = this.#pending > SMALL_BYTES
    this.#pending = Math.min(this.#pending, this.#last)
    if (wasCounted) this.#count()
  }

  close(): void {
    this.#client.ignoreInbound()
    this.#held?.release()
  }

  #count(): void {
    try {
      this.#held ??= this.#memory.hold(0, this.#client.connection.owner)
      this.#held.resize(this.#pending > SMALL_BYTES ? this.#pending : 0)
    } catch (error) {
      if (!(error instanceof LimitExceeded)) throw error
      this.#client.ignoreInbound()
      this.#client.onExcess(error)
    }
  }
}
