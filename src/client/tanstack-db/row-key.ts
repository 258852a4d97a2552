/** Returns the function that makes the key of a row from its key columns: the value of one column, or the JSON of several. */
export function rowKeyOf(columns: readonly string[]): (row: object) => string | number {
  const [first = ''] = columns
  return row => {
    const values = row as Readonly<Record<string, unknown>>
    if (columns.length > 1) return JSON.stringify(columns.map(column => values[column]))
    const value = values[first]
    return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)
  }
}
