import { messageOf } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import type { LeftOut } from './catalog.js'
import type { Access } from './catalog-access.js'
import type { Refreshed } from './refresh.js'
import type { WatchedTable } from './watched-table.js'

/** Reports what the checks of the catalogue find, each change or failure once, although every check finds it again. */
export interface CatalogReport {
  /** What the server may read, each time that has been read. */
  access(access: Access): void
  /** The connection failed. */
  disconnected(failure: Failure): void
  /** A refresh is done. */
  refreshed(rows: readonly Refreshed[]): void
  /** A refresh failed, but the connection is usable. */
  notRefreshed(error: unknown, failure: Failure): void
  /** A refresh did not get a lock, because of another transaction. Reported after BLOCKED_CHECKS in a row. */
  blocked(failure: Failure): void
  /** These tables have a complete history now. */
  whole(tables: readonly WatchedTable[]): void
  leftOut(leftOut: LeftOut): void
}

/** Checks in a row that another transaction blocks before the server reports it. */
const BLOCKED_CHECKS = 30

export function createCatalogReport(observe: Observe): CatalogReport {
  const tables = createLackingReport(observe)
  const leftOut = new Set<string>()
  /** What the last report was about. Undefined: a check has succeeded since. */
  let last: string | undefined
  let hasAllRights = false
  let blocked = 0

  function failed(key: string, failure: Failure): void {
    if (last === key) return
    last = key
    observe({ type: 'catalog.failed', ...failure })
  }

  return {
    access({ isInstalled, mayRefresh, mayRead, lacking }) {
      hasAllRights = mayRefresh && mayRead
      if (lacking) return failed(`access ${lacking.message}`, lacking)
      if (isInstalled || last === 'absent') return
      last = 'absent'
      observe({ type: 'catalog.absent' })
    },
    disconnected: failure => failed(`connection ${failure.message}`, failure),
    refreshed(rows) {
      tables.refreshed(rows)
      blocked = 0
      if (hasAllRights) last = undefined
    },
    notRefreshed: (error, failure) => failed(`refresh ${messageOf(error)}`, failure),
    blocked(failure) {
      if (++blocked === BLOCKED_CHECKS) failed('blocked', failure)
    },
    whole: tables.whole,
    leftOut({ relid, what, detail }) {
      const key = `${relid} ${what} ${detail}`
      if (leftOut.has(key)) return
      leftOut.add(key)
      observe({ type: 'catalog.unreadable', relid, what, detail })
    },
  }
}

/**
 * A table that lacks something is in the result of every refresh. It is reported when it was there twice in a row, since a lock
 * held for a moment is no reason for a warning, and again only after its history has been complete.
 */
function createLackingReport(observe: Observe): Pick<CatalogReport, 'refreshed' | 'whole'> {
  let before = new Set<string>()
  const reported = new Map<string, Set<string>>()
  return {
    refreshed(rows) {
      const now = new Set<string>()
      const lacking = new Set(rows.filter(({ change }) => change === 'lacking').map(({ relid }) => relid))
      for (const { relid, table, change, detail } of rows) {
        if (change !== 'lacking') {
          reported.delete(relid)
          // A new generation is not reported if its history does not begin: the report about what it lacks says so.
          if (!lacking.has(relid)) observe({ type: 'table.changed', table, change, detail })
          continue
        }
        const key = `${relid} ${detail}`
        now.add(key)
        const details = reported.get(relid) ?? new Set()
        if (!before.has(key) || details.has(detail)) continue
        reported.set(relid, details.add(detail))
        observe({ type: 'table.lacking', table, detail })
      }
      before = now
    },
    whole(tables) {
      for (const { relid } of tables) reported.delete(relid)
    },
  }
}
