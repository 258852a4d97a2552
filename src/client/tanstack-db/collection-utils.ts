import type { UtilsRecord } from '@tanstack/db'
import type { FeedStatus } from '../subscription/feed-status.js'

/** What a collection has in `collection.utils`. */
export interface ListenqlCollectionUtils extends UtilsRecord {
  /**
   * Resolves when the collection contains the changes of this transaction, so that an optimistic change ends without a flicker. At
   * once if it already contains them, or if it is not synchronised. Time counts while the status is `live`.
   *
   * @param transaction the text of `pg_current_xact_id()`, which the writer returns
   * @param timeout in ms. Default: the option `timeout`
   * @throws TransactionTimeoutError if no change of the transaction arrives: also if it changed no row that matches `where`
   * @throws SubscriptionError if the subscription has ended with an error
   * @throws TypeError if it is no transaction id
   */
  awaitTransaction(transaction: string | number | bigint, timeout?: number): Promise<void>
  /** Reads all rows again, also after an error. They take the place of the former rows when they have arrived. */
  refetch(): void
  /** What the subscription does. Undefined while the collection is not synchronised. */
  status(): FeedStatus | undefined
  /** Calls the listener after each change of status. @returns a function that removes the listener */
  onStatus(listener: () => void): () => void
}
