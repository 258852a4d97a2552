import { ListenqlError } from '../lib/errors.js'
import type { Pool } from '../postgres/pool.js'

/** Sends notifications one after the other, in the order of the calls. */
export interface OrderedSender {
  /** @param onError called with the reason if it was not sent: ListenqlError PAYLOAD_TOO_LARGE, PAYLOAD_INVALID, DATABASE_FAILED */
  send(channel: string, payload: string, onError: (error: unknown) => void): void
  /** Sends the waiting notifications, then closes the pool. Once the database fails, the remaining ones fail, too. */
  close(): Promise<void>
}

/** A chain of its own, since a pool that has lost its connection may let a new query overtake waiting ones. */
export function createOrderedSender(pool: Pool): OrderedSender {
  let last: Promise<void> = Promise.resolve()
  let closing = false
  let failed = false

  async function notify(channel: string, payload: string): Promise<void> {
    // Otherwise closing would wait for the same time-out for each of them.
    if (closing && failed)
      throw new ListenqlError('DATABASE_FAILED', 'closed before the notification was sent')
    try {
      await pool.notify(channel, payload)
      failed = false
    } catch (error) {
      failed = error instanceof ListenqlError && error.code === 'DATABASE_FAILED'
      throw error
    }
  }

  return {
    send(channel, payload, onError) {
      if (closing) {
        return onError(
          new ListenqlError('EVENT_TARGET_CLOSED', 'the event was not sent: its target is closed'),
        )
      }
      last = last.then(() => notify(channel, payload)).catch(onError)
    },
    async close() {
      closing = true
      await last
      await pool.close()
    },
  }
}
