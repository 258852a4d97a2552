import type { LogTroubles, Query } from './log-troubles.js'
import type { Position } from './position.js'

/** `away`: no connection reads the log. `absent`: the database has no log, or the login may not read it. `stalled`: reading fails again and again at one place. */
export type LogState = 'away' | 'absent' | 'followed' | 'stalled'

/** Failures in a row at one place after which the log counts as stalled. */
const STALLED_AFTER_FAILURES = 3

/** Whether reading the log makes progress: a session that connects and ends before it has passed a page has made none. */
export class LogHealth {
  readonly #troubles: LogTroubles | undefined
  #state: LogState = 'away'
  /** Sessions in a row that could use their connection, and ended before they had passed a page. */
  #failures = 0
  #isConnected = false
  #isCautious = false
  /** The table or channel of the event that follows the position, in words. */
  #suspect: string | undefined

  constructor(troubles: LogTroubles | undefined) {
    this.#troubles = troubles
  }

  get state(): LogState {
    return this.#state
  }

  get failures(): number {
    return this.#failures
  }

  /** Whether events are read one at a time, after repeated failures: those before the faulty one are delivered. */
  get isCautious(): boolean {
    return this.#isCautious
  }

  /** The session is over, or none has begun. */
  left(): void {
    if (this.#state !== 'stalled') this.#state = 'away'
    this.#isConnected = false
  }

  absent(): void {
    this.progressed()
    this.#state = 'absent'
  }

  /** The connection can be used, and goes on after this position. */
  async connected(position: Position | undefined, query: Query): Promise<void> {
    this.#isConnected = true
    if (this.#state === 'stalled') await this.#troubles?.note(query)
    // If the next failure means that the log is stalled, the operator wants to know at which table.
    const suspect = this.#failures >= STALLED_AFTER_FAILURES - 1 ? position : undefined
    if (suspect) this.#isCautious = true
    this.#suspect = suspect && (await this.#troubles?.topicAfter(suspect, query))
  }

  /** A page has been read, and is about to be dispatched. */
  pulled(): void {
    if (this.#state !== 'stalled') this.#state = 'followed'
  }

  /** A page has been dispatched. @param isLast nothing was left to read */
  passed(isLast: boolean): void {
    if (isLast) this.#isCautious = false
    this.progressed()
  }

  progressed(): void {
    this.#failures = 0
    if (this.#state !== 'stalled') return
    this.#state = 'followed'
    this.#troubles?.goesOn()
  }

  /** The session has failed at this position. While the database is away, nothing is wrong with the log. */
  failed(reason: string, position: Position | undefined): void {
    if (!this.#isConnected || ++this.#failures < STALLED_AFTER_FAILURES) return
    this.#state = 'stalled'
    this.#troubles?.stalled(position, this.#suspect, reason)
  }
}
