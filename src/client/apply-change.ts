/** The fields that a document for `applyChange` must select: `peopleChanged { operation key { … } row { … } }`. */
export interface RowChange<Row, Key> {
  /** `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`; with `initial`, also `READ`, `READY` or `RESET`. */
  readonly operation: string
  /** The primary key; null on TRUNCATE, READY and RESET. */
  readonly key: Key | null
  /** The row after the change; null if it was deleted, or you may no longer see it, or it no longer matches your filter. */
  readonly row: Row | null
}

/**
 * Applies a change of a watched table to the rows of a list, filtered or not, so that the list stays equal to the table.
 *
 * @param rows by id; changed in place
 * @param change as the subscription delivered it
 * @param idOf the id of a row, by its primary key: the same as in `rows`
 * @throws TypeError if a change has no key, since it does not identify a row
 */
export function applyChange<Row, Key, Id>(
  rows: Map<Id, Row>,
  change: RowChange<Row, Key>,
  idOf: (key: Key) => Id,
): void {
  const { operation, key, row } = change
  if (operation === 'TRUNCATE' || operation === 'RESET') return rows.clear()
  if (operation === 'READY') return
  if (!key) throw new TypeError('a change without a key: select key { … } in the document')
  if (row) rows.set(idOf(key), row)
  else rows.delete(idOf(key))
}
