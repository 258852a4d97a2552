/**
 * The last changes of a table without a key, newest first. Items: `{ id, operation, at, row }`, where row has the
 * current values, or the old ones if the row is gone; or `{ id, note }`.
 */
export function createLog(limit) {
  const items = []
  let last = 0

  function add(item) {
    last += 1
    items.unshift({ id: String(last), ...item })
    if (items.length > limit) items.pop()
  }

  return {
    apply: ({ operation, at, row, old }) => add({ operation, at, row: row ?? old }),
    note: text => add({ note: text }),
    take: () => ({ items: [...items], removed: new Set() }),
    get size() {
      return items.length
    },
  }
}
