import type { Observe } from '../lib/observation.js'
import type { Refreshed } from './refresh.js'
import type { WatchedTable } from './watched-table.js'

/** Reports the changes of refreshes, each once. */
export interface RefreshReport {
  rows(rows: readonly Refreshed[]): void
  /** These tables have a complete history now. */
  whole(tables: readonly WatchedTable[]): void
}

/**
 * A table that lacks something is in the result of every refresh. It is reported when it was there twice in a row, since a lock
 * held for a moment is no reason for a warning, and again only after its history has been complete.
 */
export function createRefreshReport(observe: Observe): RefreshReport {
  let before = new Set<string>()
  const told = new Map<string, Set<string>>()
  return {
    rows(rows) {
      const now = new Set<string>()
      const lacking = new Set(rows.filter(({ change }) => change === 'lacking').map(({ relid }) => relid))
      for (const { relid, table, change, detail } of rows) {
        if (change !== 'lacking') {
          told.delete(relid)
          // A new generation is not reported if its history does not begin: the report about what it lacks says so.
          if (!lacking.has(relid)) observe({ type: 'table.changed', table, change, detail })
          continue
        }
        const key = `${relid} ${detail}`
        now.add(key)
        const details = told.get(relid) ?? new Set()
        if (!before.has(key) || details.has(detail)) continue
        told.set(relid, details.add(detail))
        observe({ type: 'table.lacking', table, detail })
      }
      before = now
    },
    whole(tables) {
      for (const { relid } of tables) told.delete(relid)
    },
  }
}
