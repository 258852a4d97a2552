// The loop of every connection that must outlive outages: a session, a pause after its failure, the next session.
import { delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import type { Failure } from '../lib/observation.js'
import { type ConnectionTarget, describeFailure } from './connect-failure.js'

export interface ReconnectOptions {
  /** Names the database in messages. */
  readonly config: ConnectionTarget
  /** Longest pause between two sessions, in ms. */
  readonly reconnectMax: number
  /** Ends the loop; the session has to end by itself. */
  readonly signal: AbortSignal
  /**
   * Connects, and works until the connection ends. After it returns, the next session follows at once; after it throws, with a pause.
   * @param attempt number of sessions in a row, including this one, since one was ready
   * @param ready call it when the session is usable: a pooler may accept a connection and refuse it later
   */
  readonly session: (attempt: number, ready: () => void) => Promise<void>
  /** Called after a session has thrown, before the pause, unless the signal has aborted. */
  readonly onFailure: (failure: Failure, details: FailureDetails) => void
  /** Minimum attempt number for computing the pause. Default: 0, so that a session that was ready is replaced at once. */
  readonly minAttempt?: () => number
  /** Waits for the given ms, or until the signal aborts. Default: `delay`. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

export interface FailureDetails {
  readonly error: unknown
  /** Sessions in a row that failed before they were ready. 0: this one was ready. */
  readonly attempt: number
  /** Length of the pause, in ms. */
  readonly retryIn: number
}

/** Runs sessions one after another, and resolves when the signal aborts. The pauses grow until a session is ready. */
export async function reconnect(options: ReconnectOptions): Promise<void> {
  const { config, reconnectMax, signal, session, onFailure, minAttempt = () => 0, wait = delay } = options
  for (let attempt = 0; !signal.aborted; ) {
    attempt++
    try {
      await session(attempt, () => {
        attempt = 0
      })
    } catch (error) {
      if (signal.aborted) return
      const counted = Math.max(attempt, minAttempt())
      const retryIn = counted === 0 ? 0 : backoffDelay(counted, reconnectMax)
      onFailure(describeFailure(error, config), { error, attempt, retryIn })
      await wait(retryIn, signal)
    }
  }
}
