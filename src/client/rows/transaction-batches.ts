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
  /**
   * How long the stream has to be silent, in ms, until the last transaction counts as complete. The protocol does not mark the end of
   * a transaction. The server writes what it delivers in one turn at once, so that the rest of a transaction is already on its way.
   */
  readonly silence: number
  readonly deliver: (changes: readonly Change[], transaction: string | undefined) => void
}

/**
 * Delivers the changes of each transaction together: when a change of another transaction arrives, or the stream has been silent for
 * a while. A batch never contains changes of two transactions. A transaction is delivered in parts if it has more than `maxChanges`
 * changes, or if the stream pauses within it. Where transactions are unknown, the changes of that time form a batch.
 */
export function createTransactionBatches<Change>(
  options: TransactionBatchesOptions<Change>,
): TransactionBatches<Change> {
  const { transactionOf, maxChanges, silence, deliver } = options
  let pending: Change[] = []
  let transaction: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  /** How many changes were pending when the timer was set: more of them mean that the stream was not silent. */
  let seen = 0

  /** @param isSilent whether this timer only lets messages pass that had arrived before the last one, while the program was busy */
  function listen(isSilent: boolean): void {
    seen = pending.length
    timer = setTimeout(
      () => {
        const hasMore = pending.length > seen
        if (transaction === undefined || (isSilent && !hasMore)) flush()
        else listen(!hasMore)
      },
      isSilent ? 0 : silence,
    )
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
      else if (timer === undefined) listen(false)
    },
    flush,
    discard,
  }
}
