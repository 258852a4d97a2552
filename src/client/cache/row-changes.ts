/** A row, by the names of its columns. */
export type Row = Readonly<Record<string, unknown>>

/** A change of a row, as the subscription to a table's changes delivers it. */
export interface RowChange {
  /** `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`. */
  readonly operation: string
  /** The primary key; null on TRUNCATE, undefined if the table has none. */
  readonly key?: Row | null
  /** The row after the change, if it exists and the viewer may see it. */
  readonly row: Row | null
  /** The row before the change, likewise. */
  readonly old: Row | null
  /** The id of the database transaction. */
  readonly transaction: string
}

/** The changes of one table in one transaction, in order. */
export interface RowChanges {
  /** The type of the rows. */
  readonly type: string
  readonly changes: readonly RowChange[]
}
