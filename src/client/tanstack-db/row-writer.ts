import type { SyncAppliedReceipt, SyncConfig } from '@tanstack/db'
import type { FeedChange } from '../rows/row-feed.js'

/** What TanStack DB gives the `sync` function of a collection. */
export type SyncParams<Row extends object> = Parameters<SyncConfig<Row, string | number>['sync']>[0]

/** Writes what a feed delivers into a collection, in one synchronised transaction each. */
export interface RowWriter {
  /** These rows take the place of all others. Rows that have not changed cause no event. */
  replace(rows: readonly FeedChange[]): SyncAppliedReceipt
  /** Applies the changes of one transaction. */
  apply(changes: readonly FeedChange[]): void
}

export function createRowWriter<Row extends object>(
  { collection, begin, write, commit, truncate }: SyncParams<Row>,
  keyOf: (row: object) => string | number,
): RowWriter {
  /** The keys of the collection: TanStack DB wants to know whether a row is new. */
  const keys = new Set<string | number>()
  let isFirst = true

  function upsert(row: Row): void {
    const key = keyOf(row)
    write({ type: keys.has(key) ? 'update' : 'insert', value: row })
    keys.add(key)
  }
  function remove(key: string | number): void {
    if (keys.delete(key)) write({ type: 'delete', key })
  }
  function take({ operation, key, row }: FeedChange): void {
    if (operation === 'TRUNCATE') {
      truncate()
      keys.clear()
    } else if (row) upsert(row as Row)
    else if (key) remove(keyOf(key))
  }
  /** The changes are applied also if a listener of the collection throws: its error is the application's, and ends no subscription. */
  function commitAll(): SyncAppliedReceipt {
    try {
      return commit()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
      return true
    }
  }
  return {
    replace(rows) {
      const present = new Set(rows.map(({ row }) => keyOf(row as Row)))
      begin()
      // Rows that a server has rendered, and that may no longer exist.
      if (isFirst && collection.size > 0) truncate({ markReady: false })
      isFirst = false
      for (const key of [...keys]) if (!present.has(key)) remove(key)
      for (const { row } of rows) upsert(row as Row)
      return commitAll()
    },
    apply(changes) {
      begin()
      changes.forEach(take)
      commitAll()
    },
  }
}
