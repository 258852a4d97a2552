import type { Stop } from '../lib/stop.js'
import type { Position } from '../log/position.js'
import type { EventSource, Follower } from '../sources/source.js'
import { tryAgain } from '../sources/try-again.js'

/** The source of a group, which may be replaced, and opened again. Only the one that was opened last delivers. */
export class GroupSource {
  readonly #follower: Follower<unknown>
  readonly #signal: AbortSignal
  #opened: Promise<Stop> | undefined
  /** The number of the present opening. */
  #number = 0
  #isOpen = false
  #isStopped = false

  /** @param signal ends the opening, when the group closes */
  constructor(follower: Follower<unknown>, signal: AbortSignal) {
    this.#follower = follower
    this.#signal = signal
  }

  /** Resolves once the present source is open. Rejects with the error of opening it. */
  get opened(): Promise<unknown> {
    return this.#opened ?? Promise.resolve()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Opens a source in place of the present one. @param continuesAfter see `Follower` */
  open(source: EventSource<unknown>, continuesAfter?: Position): void {
    this.#begin(number => this.#follow(source, number, continuesAfter))
  }

  /** Opens the source again after its history has ended, as soon as the database answers and the new schema is in force. */
  reopen(source: EventSource<unknown>, failed: (error: unknown) => void): void {
    const follow = async (number: number) => {
      if (number !== this.#number) throw new Error('another source has been opened')
      return this.#follow(source, number)
    }
    this.#begin(number => tryAgain(() => follow(number), this.#signal), failed)
  }

  /** Idempotent. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    stopOnceOpen(this.#opened)
  }

  #begin(open: (number: number) => Promise<Stop>, failed?: (error: unknown) => void): void {
    const former = this.#opened
    const number = ++this.#number
    this.#isOpen = false
    const opened = open(number)
    this.#opened = opened
    opened.then(
      () => {
        if (number === this.#number) this.#isOpen = true
      },
      (error: unknown) => {
        // Each subscriber that joins gets the error, too.
        if (number === this.#number) failed?.(error)
      },
    )
    stopOnceOpen(former)
  }

  #follow(source: EventSource<unknown>, number: number, continuesAfter?: Position): Promise<Stop> {
    const { event, end, account } = this.#follower
    return source.open(
      {
        event: one => number === this.#number && event(one),
        end: error => number === this.#number && end(error),
        account,
        continuesAfter,
      },
      this.#signal,
    )
  }
}

function stopOnceOpen(opened: Promise<Stop> | undefined): void {
  opened?.then(
    stop => stop(),
    () => undefined,
  )
}
