import type { Images } from '../../filters/images.js'
import { createFilterIndex, type FilterIndex } from '../../filters/index.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import { operationOf } from './change-matcher.js'
import type { ChangeSelection } from './changes-request.js'
import type { RowOperation } from './row-change.js'

/** The subscriptions to one table, indexed so that a change is examined only for those that it may concern. */
export interface ChangeIndex<Entry> {
  /** The entries, in the order in which they were added. */
  readonly entries: ReadonlySet<Entry>
  /** @returns a function that removes the entry; idempotent */
  add(selection: ChangeSelection, entry: Entry): Stop
  /**
   * Calls `visit` once for each entry that a change may concern, judged by the operation and one equality condition; the entry's
   * ChangeMatcher decides exactly. `visit` may add and remove entries.
   */
  visit(event: LogEvent, images: Images, visit: (entry: Entry) => void): void
  /** Removes all entries and returns them. */
  clear(): readonly Entry[]
}

export function createChangeIndex<Entry>(): ChangeIndex<Entry> {
  const entries = new Set<Entry>()
  /** By wanted operation; `undefined` holds the entries that want all operations. */
  const indexes = new Map<RowOperation | undefined, FilterIndex<Entry>>()

  function indexOf(operation: RowOperation | undefined): FilterIndex<Entry> {
    let index = indexes.get(operation)
    if (!index) {
      index = createFilterIndex()
      indexes.set(operation, index)
    }
    return index
  }

  return {
    entries,
    add({ filter, operations }, entry) {
      entries.add(entry)
      const wanted = operations ? [...new Set(operations)] : [undefined]
      const removals = wanted.map(operation => indexOf(operation).add(filter, entry))
      return () => {
        if (!entries.delete(entry)) return
        for (const remove of removals) remove()
      }
    },
    visit(event, images, visit) {
      const operation = operationOf(event)
      if (operation === 'TRUNCATE') for (const entry of entries) visit(entry)
      else {
        indexes.get(undefined)?.visit(images.row, images.old, visit)
        indexes.get(operation)?.visit(images.row, images.old, visit)
      }
    },
    clear() {
      const all = [...entries]
      entries.clear()
      indexes.clear()
      return all
    },
  }
}
