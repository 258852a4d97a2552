/** What a collection asks the server for: names as in GraphQL. */
export interface TableSelection {
  readonly table: string
  readonly key: readonly string[]
  /** Includes those of the key. */
  readonly columns: readonly string[]
  /** The type of its filters, which must be known when there is a filter. */
  readonly filterType: string
}

/** The subscription to the rows and changes of a table. @throws TypeError if a name is not one of GraphQL */
export function changesDocument(
  { table, key, columns, filterType }: TableSelection,
  hasFilter: boolean,
): string {
  for (const name of [table, filterType, ...key, ...columns]) {
    if (!/^[A-Za-z_]\w*$/.test(name))
      throw new TypeError(
        `${JSON.stringify(name)} is no name in GraphQL: write it as in the schema, such as chatMessages or userId`,
      )
  }
  return `subscription${hasFilter ? ` ($where: ${filterType})` : ''} {
  ${table}Changed(initial: true${hasFilter ? ', where: $where' : ''}) {
    operation
    key { ${key.join(' ')} }
    row { ${columns.join(' ')} }
    transaction
  }
}`
}

/** `chatMessages`: `ChatMessagesFilter`, as the server names it. */
export function filterTypeOf(table: string): string {
  return `${table.replace(/^_?[a-z]/, start => start.toUpperCase())}Filter`
}
