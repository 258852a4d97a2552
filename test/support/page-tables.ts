import type { WatchedTable } from '../../page/tables/watched-table.js'

/** `pageTable(1, 'id:Int!', 'name:String')`: a table as the page knows it; the columns up to `keys` form the key. */
export function pageTable(keys: number, ...columns: string[]): WatchedTable {
  const described = columns.map((text, index) => {
    const [field = '', type = ''] = text.split(':')
    return { name: field, field, type, isKey: index < keys, comment: null }
  })
  return {
    schema: 'public',
    name: 'things',
    comment: null,
    queryField: 'things',
    subscriptionField: 'thingsChanged',
    key: described.slice(0, keys).map(({ field }) => field),
    columns: described,
  }
}
