/**
 * How long the stream has to be silent until the last transaction counts as complete: for so many ticks of so many ms. The protocol
 * does not mark the end of a transaction. The server writes what it delivers in one turn at once, so that the rest of a transaction
 * is already on its way. One timer of 10 ms would not do: if the process was held up for longer, the timer fires before the socket
 * is read. Between ticks the socket is read.
 */
const SILENT_TICKS = 5
const TICK_MS = 2

/** Collects the changes of one transaction. */
export interface TransactionBatches<Change> {
  take(change: Change): void
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
 * Delivers the changes of each transaction together: when a change of another transaction arrives, or the stream has been silent for
 * 10 ms. A batch never contains changes of two transactions. A transaction is delivered in parts if it has more than `maxChanges`
 * changes, or if the stream pauses within it. Where transactions are unknown, the changes of 10 ms form a batch.
 */
export function createTransactionBatches<Change>(
  options: TransactionBatchesOptions<Change>,
): TransactionBatches<Change> {
  const { transactionOf, maxChanges, deliver } = options
  let pending: Change[] = []
  let transaction: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  function listen(ticks = SILENT_TICKS): void {
    /** More than these mean that the stream was not silent. */
    const { length } = pending
    timer = setTimeout(() => {
      if (pending.length > length && transaction !== undefined) listen()
      else if (ticks > 1) listen(ticks - 1)
      else flush()
    }, TICK_MS)
  }
  function discard(): void {
    clearTimeout(timer)
    timer = undefined
    pending = []
  }
  function flush(): void {
    const changes = pending
    discard()
    if (changes.length > 0) deliver(changes, transaction)
  }
  return {
    take(change) {
      const next = transactionOf(change)
      if (next !== transaction) flush()
      transaction = next
      pending.push(change)
      if (pending.length >= maxChanges) flush()
      else if (timer === undefined) listen()
    },
    flush,
    discard,
  }
}
