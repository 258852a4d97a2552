import { applyChange } from '../apply-change.js'
import { isSameList, share } from '../store/share.js'
import type { FeedChange } from './row-feed.js'

/** The rows of a feed as a list. */
export interface RowList<Row, Change> {
  /** The same array until a row or the order has changed. */
  rows(): readonly Row[]
  /** Takes all rows, of which those that are equal keep their identity. */
  replace(changes: readonly Change[]): void
  /** Applies the changes of a transaction. @returns whether anything changed */
  apply(changes: readonly Change[]): boolean
}

/** How rows are identified and sorted. */
export interface RowListOptions<Row, Change> {
  /** Identifies the row of a change; equal values (by `===`) are the same row. */
  readonly idOf: (change: Change) => unknown
  /** The order of the rows. Default: that of the first read; new rows come last. */
  readonly compare?: ((a: Row, b: Row) => number) | undefined
  readonly maxRows: number
}

/** @throws RangeError from `replace` and `apply` if there are more than `maxRows` rows */
export function createRowList<Row, Change extends FeedChange>({
  idOf,
  compare,
  maxRows,
}: RowListOptions<Row, Change>): RowList<Row, Change> {
  let byId = new Map<unknown, Row>()
  let list: readonly Row[] = []
  let isStale = false

  function put(rows: Map<unknown, Row>, change: Change): boolean {
    const { operation } = change
    if (operation === 'TRUNCATE') {
      const { size } = rows
      rows.clear()
      return size > 0
    }
    const id = idOf(change)
    const had = rows.has(id)
    const before = rows.get(id) ?? byId.get(id)
    const row = change.row === null ? null : (share(before, change.row) as Row)
    if (had ? row === before : row === null) return false
    applyChange(rows, { operation, key: id ?? null, row }, key => key)
    if (rows.size > maxRows) throw new RangeError(`more than ${maxRows} rows: raise \`maxRows\``)
    return true
  }
  return {
    rows() {
      if (!isStale) return list
      isStale = false
      if (compare) byId = new Map([...byId].sort(([, a], [, b]) => compare(a, b))) // nearly sorted the next time, which is quick
      const next = [...byId.values()]
      if (!isSameList(list, next)) list = next
      return list
    },
    replace(changes) {
      const rows = new Map<unknown, Row>()
      for (const change of changes) put(rows, change)
      byId = rows
      isStale = true
    },
    apply(changes) {
      let hasChanged = false
      for (const change of changes) hasChanged = put(byId, change) || hasChanged
      isStale ||= hasChanged
      return hasChanged
    },
  }
}
