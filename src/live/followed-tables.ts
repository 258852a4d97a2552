import type { Stop } from '../lib/stop.js'
import type { LiveChange } from './live-query.js'

/** Gets the changes of a table from the next event of the log on. Its methods are called synchronously. */
export interface ChangeListener {
  change(change: LiveChange): void
  /** The history of the table has ended: later positions cannot be compared with earlier ones. No call follows. */
  lost(): void
}

/** Follows each table once, as long as a query needs it. */
export interface FollowedTables {
  /** One more query needs the table. */
  retain(relid: string): void
  /** One query less needs it. */
  release(relid: string): void
}

/** @param lost the history of a table has ended. The table is followed again, in its next history, before this is called. */
export function createFollowedTables(
  follow: (relid: string, listener: ChangeListener) => Stop,
  { change, lost }: { readonly change: (change: LiveChange) => void; readonly lost: (relid: string) => void },
): FollowedTables {
  const followed = new Map<string, { readonly stop: Stop; queries: number }>()

  function listen(relid: string): Stop {
    return follow(relid, {
      change,
      lost() {
        const known = followed.get(relid)
        if (!known) return
        followed.set(relid, { stop: listen(relid), queries: known.queries })
        lost(relid)
      },
    })
  }

  return {
    retain(relid) {
      const known = followed.get(relid)
      if (known) known.queries++
      else followed.set(relid, { stop: listen(relid), queries: 1 })
    },
    release(relid) {
      const known = followed.get(relid)
      if (!known || --known.queries > 0) return
      followed.delete(relid)
      known.stop()
    },
  }
}
