import type { Query } from '../postgres/queryable.js'
import type { LogTroubles } from './log-troubles.js'
import type { Position } from './position.js'

/**
 * `away`: no connection reads the log. `absent`: the database has no log, or the server's login may not read it. `followed`: it is
 * read. `stalled`: reading fails repeatedly at one position.
 */
export type LogState = 'away' | 'absent' | 'followed' | 'stalled'

/** How many consecutive failures at one position make the log count as stalled. */
const STALLED_AFTER_FAILURES = 3

/** Tracks whether reading the log makes progress. A session that connects but ends before a page has been dispatched makes none. */
export class LogHealth {
  readonly #troubles: LogTroubles | undefined
  readonly #onAnswer: () => void
  #hasAnswered = false
  #state: LogState = 'away'
  /** Consecutive sessions that could use their connection but ended before a page had been dispatched. */
  #failures = 0
  #isConnected = false
  #isCautious = false
  /** The name of the table or channel of the event after the position. */
  #suspect: string | undefined
  #movedAt = performance.now()

  /** @param onAnswer called once per session when the database has answered */
  constructor(troubles: LogTroubles | undefined, onAnswer: () => void = () => undefined) {
    this.#troubles = troubles
    this.#onAnswer = onAnswer
  }

  get state(): LogState {
    return this.#state
  }

  /** When the loop last went from one of its steps to the next (`performance.now()`). */
  get movedAt(): number {
    return this.#movedAt
  }

  get failures(): number {
    return this.#failures
  }

  /** Whether events are read one at a time, which is so after repeated failures: then the events before the faulty one are delivered. */
  get isCautious(): boolean {
    return this.#isCautious
  }

  /** No session is open. */
  left(): void {
    this.#movedAt = performance.now()
    if (this.#state !== 'stalled') this.#state = 'away'
    this.#isConnected = false
    this.#hasAnswered = false
  }

  /** The database has answered, be it with a refusal. */
  answered(): void {
    if (this.#hasAnswered) return
    this.#hasAnswered = true
    this.#onAnswer()
  }

  absent(): void {
    this.#movedAt = performance.now()
    this.progressed()
    this.#state = 'absent'
    this.answered()
  }

  /** The connection is usable, and reading continues after this position. */
  async connected(position: Position | undefined, query: Query): Promise<void> {
    this.#isConnected = true
    if (this.#state === 'stalled') await this.#troubles?.note(query)
    // One more failure means that the log is stalled. The operator then needs the name of the table or channel.
    const suspect = this.#failures >= STALLED_AFTER_FAILURES - 1 ? position : undefined
    if (suspect) this.#isCautious = true
    this.#suspect = suspect && (await this.#troubles?.topicAfter(suspect, query))
  }

  /** A page has been read and is dispatched next. */
  pulled(): void {
    this.#movedAt = performance.now()
    this.answered()
    if (this.#state !== 'stalled') this.#state = 'followed'
  }

  /** A page has been dispatched. @param isLast whether the page was empty: the end of the log */
  passed(isLast: boolean): void {
    if (isLast) this.#isCautious = false
    this.progressed()
  }

  progressed(): void {
    this.#failures = 0
    if (this.#state !== 'stalled') return
    this.#state = 'followed'
    this.#troubles?.recovered()
  }

  /** The session failed at this position. A session that could not connect does not count: it says nothing about the log. */
  failed(reason: string, position: Position | undefined): void {
    if (!this.#isConnected || ++this.#failures < STALLED_AFTER_FAILURES) return
    this.#state = 'stalled'
    this.#troubles?.stalled(position, this.#suspect, reason)
  }
}
