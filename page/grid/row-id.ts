import { LOG_FIELDS } from '../tables/change-log.js'
import type { Row, WatchedTable } from '../tables/watched-table.js'

/** Returns a function that names a row by its key, or by its number in a log. Rows are immutable, so each is named once. */
export function rowIds({ key }: Pick<WatchedTable, 'key'>): (row: Row) => string {
  const known = new WeakMap<Row, string>()
  const fields = key.length > 0 ? key : [LOG_FIELDS.id]
  return row => {
    let id = known.get(row)
    if (id === undefined) {
      id = JSON.stringify(fields.map(field => row[field]))
      known.set(row, id)
    }
    return id
  }
}
