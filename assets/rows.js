import { byKey } from './order.js'

/**
 * The first rows of a table by its key, kept up to date by its changes: a change with a row sets it, a change without one removes
 * its key, and TRUNCATE clears.
 * `take()` returns what to show: items `{ id, row }` in order, and the ids of the rows that were removed since the last call.
 */
export function createRows(table, limit) {
  const compare = byKey(table)
  const rows = new Map()
  let removed = new Set()
  let hasMore = false

  const idOf = key => JSON.stringify(table.key.map(field => key[field]))
  const sorted = () => [...rows].map(([id, row]) => ({ id, row })).sort((a, b) => compare(a.row, b.row))

  function last() {
    let found
    for (const [id, row] of rows) if (found === undefined || compare(row, rows.get(found)) > 0) found = id
    return found
  }

  function remove(id) {
    if (rows.delete(id)) removed.add(id)
  }

  function put(id, row) {
    removed.delete(id)
    const isNew = !rows.has(id)
    rows.set(id, row)
    if (!isNew || rows.size <= limit) return
    // There may be other rows after the last one shown, and this row may belong after some of them.
    rows.delete(last())
    hasMore = true
  }

  return {
    /** Takes the rows that were read. One row more than the limit means that there are more. */
    reset(read) {
      const kept = new Map(read.slice(0, limit).map(row => [idOf(row), row]))
      for (const id of [...rows.keys()]) if (!kept.has(id)) remove(id)
      for (const [id, row] of kept) {
        // An unchanged row is not marked as new.
        if (JSON.stringify(rows.get(id)) !== JSON.stringify(row)) rows.set(id, row)
      }
      hasMore = read.length > limit
    },
    apply({ operation, key, row }) {
      if (operation === 'TRUNCATE') {
        for (const id of [...rows.keys()]) remove(id)
        hasMore = false
      } else if (row) put(idOf(key), row)
      else remove(idOf(key))
    },
    take() {
      const taken = { items: sorted(), removed }
      removed = new Set()
      return taken
    },
    get size() {
      return rows.size
    },
    get hasMore() {
      return hasMore
    },
    /** Whether rows were removed and the rows that should move up are not known. */
    get lacksRows() {
      return hasMore && rows.size < limit
    },
  }
}
