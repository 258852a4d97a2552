import type { FeedStatus } from '../subscription/feed-status.js'
import { TransactionTimeoutError } from './transaction-timeout-error.js'

/** How many transactions that have arrived are remembered. */
const MAX_RECENT = 1_000
/**
 * After a read of all rows, in ms, a transaction may still be waited for that these rows already contain: it has committed before
 * the read, and its writer's answer arrives after the rows.
 */
const DOUBT_WINDOW_MS = 30_000
/** How long the event of such a transaction is waited for, in ms, before the rows are read again. */
const DOUBT_MS = 300

interface Waiter {
  readonly transaction: string
  /** Time limit, in ms. */
  readonly timeout: number
  readonly since: number
  /** The last read that had begun before: the rows of later ones contain the transaction. */
  readonly lastRead: number
  hasAsked: boolean
  timer?: ReturnType<typeof setTimeout> | undefined
  settle(error?: Error): void
}

export interface TransactionWaitsOptions {
  /** The name of the table, for messages. */
  readonly table: string
  /** Default time limit, in ms. */
  readonly timeout: number
  /** Reads all rows again. */
  readonly readAgain: () => void
}

/** Waits for transactions that have committed, until the collection contains them. */
export interface TransactionWaits {
  /** Resolves once the transaction is in the collection: at once if it already is, or if nothing is synchronised. */
  wait(transaction: unknown, timeout?: number): Promise<void>
  /** A transaction has been committed into the collection. */
  arrived(transaction: string): void
  /** A read of all rows begins. @returns its number */
  reading(): number
  /** The rows of this read have been committed into the collection. */
  read(number: number): void
  /** Time counts only while the status is `live`. @param status undefined if nothing is synchronised */
  become(status: FeedStatus | undefined): void
}

/**
 * A transaction is in the collection when its changes have arrived or when all rows have been read after it. In doubt, right after
 * a read that may have been before or after it, the rows are read once more.
 */
export function createTransactionWaits({
  table,
  timeout: usual,
  readAgain,
}: TransactionWaitsOptions): TransactionWaits {
  const waiters = new Set<Waiter>()
  const recent = new Set<string>()
  let status: FeedStatus | undefined
  let reads = 0
  let readAt = Number.NEGATIVE_INFINITY

  function settle(which: (waiter: Waiter) => boolean, error?: Error): void {
    for (const waiter of [...waiters]) if (which(waiter)) waiter.settle(error)
  }
  function endOf({ state, error }: FeedStatus): Error | undefined {
    if (state === 'failed') return error ?? new Error(`the subscription to ${table} has failed`)
    if (state === 'closed') return new Error(`the client of the collection ${table} was disposed of`)
    return undefined
  }
  function arm(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    if (status?.state !== 'live') return
    const isInDoubt = !waiter.hasAsked && waiter.since - readAt < DOUBT_WINDOW_MS
    waiter.timer = setTimeout(
      () => {
        if (!isInDoubt)
          return waiter.settle(new TransactionTimeoutError(waiter.transaction, table, waiter.timeout))
        waiter.hasAsked = true
        arm(waiter)
        readAgain()
      },
      isInDoubt ? Math.min(DOUBT_MS, waiter.timeout) : waiter.timeout,
    )
  }
  return {
    async wait(given, timeout = usual) {
      const transaction = idOf(given)
      if (!status || recent.has(transaction)) return
      const end = endOf(status)
      if (end) throw end
      await new Promise<void>((resolve, reject) => {
        const waiter: Waiter = {
          transaction,
          timeout,
          since: Date.now(),
          lastRead: reads,
          hasAsked: false,
          settle(error) {
            clearTimeout(waiter.timer)
            waiters.delete(waiter)
            if (error) reject(error)
            else resolve()
          },
        }
        waiters.add(waiter)
        arm(waiter)
      })
    },
    arrived(transaction) {
      recent.delete(transaction)
      recent.add(transaction)
      for (const oldest of recent) {
        if (recent.size <= MAX_RECENT) break
        recent.delete(oldest)
      }
      settle(waiter => waiter.transaction === transaction)
    },
    reading: () => ++reads,
    read(number) {
      readAt = Date.now()
      settle(({ lastRead }) => lastRead < number)
    },
    become(next) {
      status = next
      const end = next && endOf(next)
      if (end) settle(() => true, end)
      else if (!next) settle(() => true)
      else for (const waiter of waiters) arm(waiter)
    },
  }
}

function idOf(given: unknown): string {
  const id = typeof given === 'number' || typeof given === 'bigint' ? String(given) : given
  if (typeof id === 'string' && /^\d+$/.test(id)) return id
  throw new TypeError(
    `${given === undefined ? 'undefined' : JSON.stringify(given)} is no transaction id: let the writer return pg_current_xact_id()::text, and pass that`,
  )
}
