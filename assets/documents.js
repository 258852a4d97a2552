/** The facts about a table that the page needs to query its rows. */
export const tablesQuery = `{ watchedTables {
  schema name comment queryField subscriptionField key columns { name field type nullable isKey comment }
} }`

// Some servers and proxies accept no request line longer than 8 kB.
const longest = 6000
const newestFirst = ['Int', 'BigInt', 'Decimal', 'Float', 'Date', 'DateTime', 'LocalDateTime']

/** The name of a column's type without list and non-null: `[Int]!` is `Int`. */
export const bareType = ({ type }) => type.replace(/[[\]!]/g, '')

/** The columns to show, key first. If the subscription would not fit into a URL, the last columns are left out. */
export function shownColumns({ key, columns }) {
  const keys = key.map(field => columns.find(column => column.field === field))
  const others = columns.filter(column => !key.includes(column.field))
  let room = longest
  return [...keys, ...others].filter((column, index) => {
    // Once in `row` and once in `old`, with a space.
    room -= 2 * (column.field.length + 1)
    return index < keys.length || room > 0
  })
}

/** Whether the newest row has the greatest key, as with serials and times. Such tables are shown in descending order. */
export function isNewestFirst(table) {
  const first = table.columns.find(({ field }) => field === table.key[0])
  return first !== undefined && !first.type.startsWith('[') && newestFirst.includes(bareType(first))
}

/** The first rows by key, and the cursor after which the changes follow. */
export function rowsQuery(table, limit) {
  const order = isNewestFirst(table) ? `, orderBy: [{ ${table.key[0]}: DESC }]` : ''
  return `{ ${table.queryField}(limit: ${limit}${order}) { cursor rows { ${fieldsOf(table)} } } }`
}

export function changesQuery({ key, subscriptionField, ...table }) {
  const fields = fieldsOf({ key, ...table })
  // Without a key, a deleted row can only be shown by its old values.
  const about = key.length > 0 ? `key { ${key.join(' ')} }` : `old { ${fields} }`
  return `subscription { ${subscriptionField} { operation at ${about} row { ${fields} } } }`
}

const fieldsOf = table =>
  shownColumns(table)
    .map(({ field }) => field)
    .join(' ')
