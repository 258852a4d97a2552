import type { LoadSubsetOptions, SyncAppliedReceipt } from '@tanstack/db'
import type { RowFeed } from '../rows/row-feed.js'
import type { FeedStatus } from '../subscription/feed-status.js'
import { type Filter, subsetFilter } from './subset-filter.js'
import type { OpenTableFeed } from './table-feed.js'
import { covers, unionOf, withoutCovered } from './union-of.js'

interface Demand {
  /** Undefined for all rows. */
  readonly filter: Filter | undefined
  resolve(receipt: SyncAppliedReceipt): void
  reject(error: Error): void
}

interface Union {
  readonly feed: RowFeed
  readonly filters: readonly (Filter | undefined)[]
}

export interface SubsetLoaderOptions {
  readonly open: OpenTableFeed
  readonly columns: ReadonlySet<string>
  /** Holds for all subsets. */
  readonly where: Filter | undefined
  /** @param status that of the feed whose rows the collection has, or of the first feed */
  readonly status: (status: FeedStatus) => void
}

/** Loads the subsets that live queries ask for: the sync mode `on-demand`. */
export interface SubsetLoader {
  /** @returns true if the rows are there, or a promise that resolves when they are */
  load(options: LoadSubsetOptions): true | Promise<void>
  unload(options: LoadSubsetOptions): void
  refetch(): void
  dispose(): void
}

/**
 * Follows the union of all subsets by one subscription, so that a transaction stays whole and a row that moves from one subset to
 * another is never missing. A further subset opens a subscription to the larger union, which takes the place of the former when its
 * rows have arrived. A subset that is no longer needed is dropped at that time, too. Order and limit of a subset are ignored: all
 * rows that match its predicate are loaded. If the server refuses a union, all rows of the collection are loaded.
 */
export function createSubsetLoader({
  open,
  columns,
  where,
  status: report,
}: SubsetLoaderOptions): SubsetLoader {
  const demands = new Map<LoadSubsetOptions, Demand>()
  let current: Union | undefined
  let next: Union | undefined
  let isOver = false

  function isLoaded(filter: Filter | undefined): boolean {
    if (!current || hasEnded(current.feed.status)) return false
    return current.filters.some(loaded => covers(loaded, filter))
  }
  function loadMissing(): void {
    if (isOver || next) return
    const filters = [...demands.values()].map(({ filter }) => filter)
    if (!filters.every(isLoaded)) follow(withoutCovered(filters))
  }
  function follow(filters: Union['filters'], refusal?: Error): void {
    const feed = open(filterOf(filters), {
      arriving() {
        if (next?.filters !== filters) return
        const former = current
        current = next
        next = undefined
        former?.feed.dispose()
      },
      written(receipt) {
        for (const demand of demands.values()) if (isLoaded(demand.filter)) demand.resolve(receipt)
        loadMissing()
      },
      status(changed) {
        if (next?.filters === filters && hasEnded(changed)) {
          next = undefined
          feed.dispose()
          const error = changed.error ?? new Error('the client of the collection was disposed of')
          if (changed.state === 'failed' && !filters.includes(undefined)) return follow([undefined], error)
          refuse(refusal ?? error)
          if (!current) report(changed)
        } else if ((current ?? next)?.filters === filters) report(changed)
      },
    })
    next = { filters, feed }
    if (!current) report(feed.status)
  }
  function refuse(error: Error): void {
    for (const [options, demand] of demands) {
      if (isLoaded(demand.filter)) continue
      demands.delete(options)
      demand.reject(error)
    }
  }
  function filterOf(filters: Union['filters']): Filter | undefined {
    if (filters.includes(undefined)) return where
    const union = unionOf(filters as readonly Filter[])
    return where ? { and: [where, union] } : union
  }
  return {
    load(options) {
      const filter = subsetFilter(options.where, columns)
      const loaded = new Promise<void>((resolve, reject) => {
        demands.set(options, {
          filter,
          resolve: receipt => resolve(receipt === true ? undefined : receipt),
          reject,
        })
      })
      if (isLoaded(filter)) {
        // It may be refused later, when the subscription has ended.
        loaded.catch(() => undefined)
        return true
      }
      // A join asks for several subsets in one turn.
      queueMicrotask(loadMissing)
      return loaded
    },
    unload(options) {
      demands.get(options)?.resolve(true)
      demands.delete(options)
    },
    refetch() {
      ;(current ?? next)?.feed.refetch()
    },
    dispose() {
      isOver = true
      current?.feed.dispose()
      next?.feed.dispose()
      for (const demand of demands.values()) demand.resolve(true)
      demands.clear()
    },
  }
}

function hasEnded({ state }: FeedStatus): boolean {
  return state === 'failed' || state === 'closed'
}
