// The loop of every connection that must outlive outages: a session, a pause after its failure, the next session.
import { delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import type { Failure } from '../lib/observation.js'
import { type ConnectionTarget, describeFailure } from './connect-failure.js'

export interface ReconnectOptions {
  /** Where the database is, for messages. */
  readonly config: ConnectionTarget
  /** Longest pause between two sessions, in ms. */
  readonly reconnectMax: number
  /** Ends the loop; the session has to end by itself. */
  readonly signal: AbortSignal
  /**
   * Connects, and works until the connection ends. One that returns is followed by the next at once, one that throws after a pause.
   * @param attempt sessions in a row, with this one, since one was ready
   * @param ready to be called when the session serves: a pooler may accept a connection and then refuse
   */
  readonly session: (attempt: number, ready: () => void) => Promise<void>
  /** A session has thrown, and the signal has not aborted. Called before the pause. */
  readonly onFailure: (failure: Failure, details: FailureDetails) => void
  /** Fewest attempts that the pause is computed from. Default: 0, so that a session that was ready is replaced at once. */
  readonly minAttempt?: () => number
  /** Waits for so many ms, or until the signal aborts. Default: `delay`. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

export interface FailureDetails {
  readonly error: unknown
  /** Sessions in a row that have failed without being ready. 0: this one was. */
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
