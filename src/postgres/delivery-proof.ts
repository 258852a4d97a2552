import { randomBytes } from 'node:crypto'
import { createDeferred, type Deferred } from '../lib/deferred.js'

/**
 * The channel on which servers notify themselves. Each server also receives the notifications of the others, which prove as
 * much.
 */
export const PROOF_CHANNEL = 'listenql_proof'

/** A connection that sends one notification. */
export interface ProofSender {
  /** Sends NOTIFY as a statement, which needs no right on the function pg_notify. @param payload letters and digits */
  notify(channel: string, payload: string): Promise<void>
  release(): void
}

export interface DeliveryProof {
  /**
   * Reports that a notification was received.
   * @param isUnasked no statement was running on that connection: a pooler in transaction mode forwards notifications only
   * during a statement
   */
  heard(isUnasked: boolean): void
  /** Whether a notification has proven delivery since the last call of `renew`; then starts again. */
  renew(): boolean
  /**
   * Sends a notification. Resolves with whether one has arrived; run nothing on the LISTEN connection meanwhile.
   * @throws any error of the sender: then nothing is proven or disproven
   */
  attempt(sender: ProofSender): Promise<boolean>
}

export interface DeliveryProofOptions {
  /** Longest wait for the notification after it was sent, in ms, without the time in which the connection is paused. */
  readonly patience: number
  /** Whether received data stays unread. */
  readonly isPaused: () => boolean
  /** Ends an attempt, which then counts as successful, since the connection is gone anyway. */
  readonly signal: AbortSignal
}

/**
 * Proves that notifications reach a LISTEN connection. The answer to a query does not prove it: a pooler in transaction mode answers
 * every query, including LISTEN, and drops what Postgres sends between queries.
 */
export function createDeliveryProof({ patience, isPaused, signal }: DeliveryProofOptions): DeliveryProof {
  let isProven = false
  let waiting: Deferred | undefined
  signal.addEventListener('abort', () => waiting?.resolve(), { once: true })

  /** Resolves with false once the patience is used up. */
  function outwait(heard: Promise<void>): Promise<boolean> {
    return new Promise(resolve => {
      let wasPaused = isPaused()
      const timer = setInterval(() => {
        const isHeldUp = isPaused() || wasPaused
        wasPaused = isPaused()
        if (isHeldUp) return
        // A busy event loop runs timers before it reads the sockets: unread data there still counts.
        setImmediate(() => resolve(isProven))
      }, patience)
      void heard.then(() => resolve(true)).finally(() => clearInterval(timer))
    })
  }

  return {
    heard(isUnasked) {
      if (!isUnasked) return
      isProven = true
      waiting?.resolve()
    },
    renew() {
      const wasProven = isProven
      isProven = false
      return wasProven
    },
    async attempt(sender) {
      if (signal.aborted) return true
      const heard = createDeferred()
      waiting = heard
      try {
        // The sender may never get an answer: only the notification matters.
        const sent = sender.notify(PROOF_CHANNEL, randomBytes(8).toString('hex'))
        await Promise.race([sent, heard.promise])
        return await outwait(heard.promise)
      } finally {
        heard.resolve()
        waiting = undefined
      }
    },
  }
}
