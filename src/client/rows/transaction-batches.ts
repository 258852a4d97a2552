/**
 * The stream counts as silent after so many ticks without a change. The protocol does not mark the end of a transaction; the server
 * writes what it delivers in one turn at once, so that the rest of a transaction is already on its way. One timer would not do: if the
 * process was held up for longer, the timer fires before the socket is read. Between ticks the socket is read.
 */
const SILENT_TICKS = 5

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
  /** How long the stream has to be silent until the last transaction counts as complete, in ms. Default: 10. */
  readonly silence?: number | undefined
  readonly deliver: (changes: readonly Change[], transaction: string | undefined) => void
}

/**
 * Delivers the changes of each transaction together: when a change of another transaction arrives, or the stream has been silent.
 * A batch never contains changes of two transactions. A transaction is delivered in parts if it has more than `maxChanges`
 * changes, or if the stream pauses within it. Where transactions are unknown, the changes until the end of that time form a batch.
 */
export function createTransactionBatches<Change>({
  transactionOf,
  maxChanges,
  silence = 10,
  deliver,
}: TransactionBatchesOptions<Change>): TransactionBatches<Change> {
  let pending: Change[] = []
  let transaction: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  function listen(ticks = SILENT_TICKS): void {
    /** More than these mean that the stream was not silent. */
    const { length } = pending
    timer = setTimeout(() => {
      if (transaction && pending.length > length) listen()
      else if (--ticks) listen(ticks)
      else flush()
    }, silence / SILENT_TICKS)
  }
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
    take(change) {
      const next = transactionOf(change)
      if (next !== transaction) flush()
      transaction = next
      pending.push(change)
      if (pending.length >= maxChanges) flush()
      else if (!timer) listen()
    },
    flush,
    discard,
  }
}
