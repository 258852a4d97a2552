import type { SyncConfig } from '@tanstack/db'
import type { FeedStatus } from '../subscription/feed-status.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import type { TableSelection } from './changes-document.js'
import type { ListenqlCollectionUtils } from './collection-utils.js'
import { createRowWriter, type SyncParams } from './row-writer.js'
import type { Filter } from './subset-filter.js'
import { createSubsetLoader, type SubsetLoader } from './subset-loader.js'
import { createTableFeeds, type OpenTableFeed } from './table-feed.js'
import { createTransactionWaits } from './transaction-waits.js'

export interface CollectionSyncOptions {
  readonly client: SubscribingClient
  readonly selection: TableSelection
  readonly keyOf: (row: object) => string | number
  readonly where: Filter | undefined
  /** Default of `awaitTransaction`, in ms. */
  readonly timeout: number
  readonly isOnDemand: boolean
}

/** Synchronises one collection; TanStack DB starts it when it is used, ends it when it is not, and may start it again. */
export function createCollectionSync<Row extends object>(
  options: CollectionSyncOptions,
): {
  readonly sync: SyncConfig<Row, string | number>
  readonly utils: ListenqlCollectionUtils
} {
  const { client, selection, keyOf, where, timeout, isOnDemand } = options
  const { table } = selection
  const listeners = new Set<() => void>()
  let status: FeedStatus | undefined
  let refetch = () => {}
  const waits = createTransactionWaits({ table, timeout, readAgain: () => refetch() })

  function become(next: FeedStatus | undefined): void {
    status = next
    waits.become(next)
    for (const listener of [...listeners]) listener()
  }
  function syncAll(params: SyncParams<Row>, open: OpenTableFeed): () => void {
    let hasRows = false
    const feed = open(where, {
      written() {
        hasRows = true
        params.markReady()
      },
      status(next) {
        become(next)
        if (hasRows || (next.state !== 'failed' && next.state !== 'closed')) return
        params.markError(next.error ?? new Error(`the client of the collection ${table} was disposed of`))
      },
    })
    refetch = feed.refetch
    become(feed.status)
    return feed.dispose
  }
  function syncSubsets({ markReady }: SyncParams<Row>, open: OpenTableFeed): SubsetLoader {
    const loader = createSubsetLoader({ open, columns: new Set(selection.columns), where, status: become })
    refetch = loader.refetch
    markReady()
    return loader
  }
  return {
    utils: {
      awaitTransaction: waits.wait,
      refetch: () => refetch(),
      status: () => status,
      onStatus(listener) {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    },
    sync: {
      rowUpdateMode: 'full',
      sync(params) {
        const { open, close } = createTableFeeds(client, selection, {
          writer: createRowWriter(params, keyOf),
          waits,
        })
        /** What the feeds still tell when they end is of no interest to the next run. */
        const cleanup = (dispose: () => void) => () => {
          close()
          dispose()
          refetch = () => {}
          become(undefined)
        }
        if (!isOnDemand) return cleanup(syncAll(params, open))
        const { load, unload, dispose } = syncSubsets(params, open)
        return { loadSubset: load, unloadSubset: unload, cleanup: cleanup(dispose) }
      },
    },
  }
}
