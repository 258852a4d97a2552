import type { SubscriptionResult } from '../subscription/subscribing-client.js'

/** Where the server does not mark ends, a batch has the changes of one transaction that arrive within this time, in ms. */
const UNMARKED_MS = 10

/** The extensions of a request that asks the server to mark the ends of transactions. */
export const WITH_MARKS = { transactionEnds: true }

/** Collects the changes of one transaction. */
export interface TransactionBatches<Change> {
  /** The connection is lost: the next server may be an older one, which does not mark ends. */
  interrupted(): void
  take(change: Change): void
  /** Takes a result without data, by which the server marks ends, or announces that. @returns whether it is one */
  takeMark(result: SubscriptionResult<unknown>): boolean
  /** Delivers what has been collected. */
  flush(): void
  /** Drops what has been collected. */
  discard(): void
}

export interface TransactionBatchesOptions<Change> {
  /** Returns the transaction of a change; undefined if the document does not select it. */
  readonly transactionOf: (change: Change) => string | undefined
  /** A batch with so many changes is delivered at once. */
  readonly maxChanges: number
  readonly deliver: (changes: readonly Change[], transaction: string | undefined) => void
}

/**
 * Delivers the changes of each transaction together, when it ends. A batch never contains changes of two transactions if these are
 * known. A transaction is delivered in parts if it has more than `maxChanges` changes, or if the server does not mark ends: another
 * GraphQL server, or an older one.
 */
export function createTransactionBatches<Change>({
  transactionOf,
  maxChanges,
  deliver,
}: TransactionBatchesOptions<Change>): TransactionBatches<Change> {
  let pending: Change[] = []
  let transaction: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isMarked = false

  function discard(): void {
    clearTimeout(timer)
    timer = undefined
    pending = []
  }
  function flush(): void {
    const changes = pending
    discard()
    if (changes.length) deliver(changes, transaction)
  }
  return {
    interrupted() {
      isMarked = false
    },
    take(change) {
      const next = transactionOf(change)
      if (next !== transaction) flush()
      transaction = next
      pending.push(change)
      if (pending.length >= maxChanges) flush()
      else if (!isMarked) timer ??= setTimeout(flush, UNMARKED_MS)
    },
    takeMark({ extensions }) {
      const isEnd = (extensions as { transactionEnd?: boolean } | undefined)?.transactionEnd
      if (isEnd == null) return false
      isMarked = true
      clearTimeout(timer)
      if (isEnd) flush()
      return true
    },
    flush,
    discard,
  }
}
