import type { SyncAppliedReceipt } from '@tanstack/db'
import { createRowFeed, type FeedChange, type RowFeed } from '../rows/row-feed.js'
import type { FeedStatus } from '../subscription/feed-status.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import { changesDocument, type TableSelection } from './changes-document.js'
import type { RowWriter } from './row-writer.js'
import type { Filter } from './subset-filter.js'
import type { TransactionWaits } from './transaction-waits.js'

/** Where the feeds of a collection deliver to. */
export interface TableFeedTarget {
  readonly writer: RowWriter
  readonly waits: TransactionWaits
}

export interface TableFeedListener {
  /** Called before rows are written for the first time. */
  arriving?(): void
  /** All rows have been written. */
  written(receipt: SyncAppliedReceipt): void
  status(status: FeedStatus): void
}

/** Opens a feed that keeps a collection equal to the rows that match a filter. */
export type OpenTableFeed = (where: Filter | undefined, listener: TableFeedListener) => RowFeed

/** The feeds of a collection while it is synchronised. */
export interface TableFeeds {
  readonly open: OpenTableFeed
  /** From now on, the listeners hear nothing. */
  close(): void
}

export function createTableFeeds(
  client: SubscribingClient,
  selection: TableSelection,
  { writer, waits }: TableFeedTarget,
): TableFeeds {
  let isOpen = true
  const open: OpenTableFeed = (where, listener) => {
    let read = 0
    return createRowFeed<{ readonly changed: FeedChange }, { readonly where?: Filter }>(
      {
        subscribe(payload, sink) {
          read = waits.reading()
          return client.subscribe(payload, sink)
        },
      },
      {
        changes: changesDocument(selection, where !== undefined),
        ...(where && { variables: { where } }),
        // A transaction has to be committed as a whole.
        maxChanges: Number.POSITIVE_INFINITY,
      },
      {
        rows(rows) {
          listener.arriving?.()
          const receipt = writer.replace(rows)
          waits.read(read)
          listener.written(receipt)
        },
        changes(changes, transaction) {
          writer.apply(changes)
          if (transaction) waits.arrived(transaction)
        },
        status(status) {
          if (isOpen) listener.status(status)
        },
      },
    )
  }
  return {
    open,
    close() {
      isOpen = false
    },
  }
}
