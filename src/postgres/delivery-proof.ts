import { randomBytes } from 'node:crypto'
import { createDeferred, type Deferred } from '../lib/deferred.js'

/** Servers send notifications to themselves on it. Each server of a database hears those of the others, which prove as much. */
export const PROOF_CHANNEL = 'listenql_proof'

/** A connection that sends one notification. */
export interface ProofSender {
  /** Sends NOTIFY as a statement, which needs no right on the function pg_notify. @param payload letters and digits */
  notify(channel: string, payload: string): Promise<void>
  release(): void
}

export interface DeliveryProof {
  /**
   * A notification was received.
   * @param isUnasked no statement of ours was under way on that connection: a pooler in transaction mode passes on what
   * comes during a statement, and nothing else
   */
  heard(isUnasked: boolean): void
  /** Whether a notification has proven delivery since the last call of `renew`; starts over. */
  renew(): boolean
  /**
   * Sends a notification. Resolves with whether one has come back; nothing may be run on the LISTEN connection meanwhile.
   * @throws whatever the sender throws: then nothing is proven, and nothing refuted
   */
  attempt(sender: ProofSender): Promise<boolean>
}

export interface DeliveryProofOptions {
  /** Longest wait for the notification once it was sent, in ms. Time in which the connection is paused does not count. */
  readonly patience: number
  /** Whether what is received waits unread. */
  readonly isPaused: () => boolean
  /** Ends an attempt, which then counts as successful: the connection is gone anyway. */
  readonly signal: AbortSignal
}

/**
 * Proves that notifications reach a LISTEN connection. An answer to a query does not: a pooler in transaction mode answers
 * every query, LISTEN as well, and drops what Postgres sends in between.
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
        // A busy event loop runs timers before it reads the sockets: what lies there counts.
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
        // The sender's answer may never come: the notification is what counts.
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
