/** A transaction did not arrive in a collection within the time limit. */
export class TransactionTimeoutError extends Error {
  override readonly name = 'TransactionTimeoutError'
  /** The id of the transaction, as given. */
  readonly transaction: string

  constructor(transaction: string, table: string, timeout: number) {
    super(
      `transaction ${transaction} did not arrive in ${table} within ${timeout} ms: it changed no row that the collection contains (see its \`where\`), or the id is not that of pg_current_xact_id()`,
    )
    this.transaction = transaction
  }
}
