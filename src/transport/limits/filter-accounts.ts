import type { Viewer } from '../../auth/viewer.js'
import type { Account } from '../../lib/limits/account.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { personOf } from './viewer-limits.js'

/** How much work the filters of each viewer may cause, over all connections. */
export interface FilterAccounts {
  /** For one connection. */
  open(viewer: Viewer, address: string): OpenAccount
  /** Number of accounts that are kept. */
  readonly size: number
}

export interface OpenAccount extends Account {
  /** The connection is closed. Call it once. */
  close(): void
}

/** Full accounts hold the steps of this many seconds, to be spent at once. */
const BURST_SECONDS = 2
/** The steps of this part of a second may be spent before the account reads the clock. */
const UNCLOCKED_SECONDS = 1 / 16
/** Accounts that are kept without a sweep, whether they were used lately or not. */
const KEPT_ACCOUNTS = 1000

/**
 * @param rate steps per second, on average, that the filters of one viewer may take; it may change
 * @param now the time in ms
 */
export function createFilterAccounts(
  rate: () => number,
  now: () => number = () => performance.now(),
): FilterAccounts {
  const accounts = new Map<string, FilterAccount>()
  let sweepAt = KEPT_ACCOUNTS

  /** Drops accounts that are full again, since a new one would be equal. */
  function sweep(): void {
    for (const [person, account] of accounts) {
      if (account.connections === 0 && account.isFull) accounts.delete(person)
    }
    sweepAt = Math.max(KEPT_ACCOUNTS, 2 * accounts.size)
  }

  return {
    open(viewer, address) {
      const person = personOf(viewer, address)
      let account = accounts.get(person)
      if (!account) {
        if (accounts.size >= sweepAt) sweep()
        account = new FilterAccount(rate, now)
        accounts.set(person, account)
      }
      account.refresh() // the rate may have changed
      account.connections++
      return account
    },
    get size() {
      return accounts.size
    },
  }
}

/**
 * A token bucket (https://en.wikipedia.org/wiki/Token_bucket) that reads the clock only now and then, since most payments are
 * small.
 */
class FilterAccount implements OpenAccount {
  connections = 0
  readonly #rateNow: () => number
  #rate: number
  readonly #now: () => number
  #left: number
  #at: number
  /** Steps spent since it was last filled. */
  #unseen = 0

  constructor(rate: () => number, now: () => number) {
    this.#rateNow = rate
    this.#rate = rate()
    this.#now = now
    this.#left = this.#rate * BURST_SECONDS
    this.#at = now()
  }

  /** Adds what has become due by now. */
  refresh(): void {
    this.#fill()
  }

  get isFull(): boolean {
    this.#fill()
    return this.#left === this.#rate * BURST_SECONDS
  }

  refusal(): LimitExceeded | undefined {
    if (this.#left > 0) return undefined
    this.#fill()
    if (this.#left > 0) return undefined
    return new LimitExceeded(
      'filterRate',
      this.#rate,
      'Your filters take too much work for the present rate of events: too many conditions search too long texts.',
      'select less text, or use fewer conditions with like and ilike; --filter-rate on the server sets the limit',
    )
  }

  pay(steps: number): void {
    this.#left -= steps
    this.#unseen += steps
    if (this.#unseen > this.#rate * UNCLOCKED_SECONDS) this.#fill()
  }

  close(): void {
    this.connections--
  }

  #fill(): void {
    this.#rate = this.#rateNow()
    const time = this.#now()
    this.#left = Math.min(this.#rate * BURST_SECONDS, this.#left + ((time - this.#at) / 1000) * this.#rate)
    this.#at = time
    this.#unseen = 0
  }
}
