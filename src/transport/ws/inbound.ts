import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'

export interface InboundOptions {
  readonly webSocket: WebSocket
  /** The socket of the WebSocket. */
  readonly socket: Socket
  readonly memory: ClientMemory
  readonly owner: string
  /** Called once, if there is no memory for more of a message that is arriving. */
  readonly onExcess: (excess: LimitExceeded) => void
}

/** Less is not counted: nearly all messages arrive whole, and at once. */
const SMALL_BYTES = 16 * 1024
/** Header and mask of a client's control frame (https://www.rfc-editor.org/rfc/rfc6455#section-5.2). */
const CONTROL_HEADER_BYTES = 6

/**
 * Counts the bytes of a message that is not complete yet: ws buffers them and does not report them. When a message is complete, the
 * last bytes may belong to the next one, and stay counted.
 */
export function countInbound({ webSocket, socket, memory, owner, onExcess }: InboundOptions): void {
  let pending = 0
  let last = 0
  let held: Hold | undefined
  const count = () => {
    try {
      held ??= memory.hold(0, owner)
      held.resize(pending > SMALL_BYTES ? pending : 0)
    } catch (error) {
      if (!(error instanceof LimitExceeded)) throw error
      socket.off('data', onData)
      onExcess(error)
    }
  }
  const onData = (chunk: Buffer) => {
    last = chunk.length
    pending += last
    if (pending > SMALL_BYTES) count()
  }
  const onControl = (data: Buffer) => {
    pending -= Math.min(pending, CONTROL_HEADER_BYTES + data.length)
  }
  socket.on('data', onData)
  webSocket.on('ping', onControl).on('pong', onControl)
  webSocket.on('message', () => {
    const wasCounted = pending > SMALL_BYTES
    pending = Math.min(pending, last)
    if (wasCounted) count()
  })
  webSocket.once('close', () => {
    socket.off('data', onData)
    held?.release()
  })
}
