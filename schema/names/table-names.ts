import type { TableColumn, WatchedTable } from '../../src/catalog/watched-table.js'

/** The names of a table in GraphQL. */
export interface TableNames {
  readonly table: WatchedTable
  /** Whether the comment on the table gives another name than the usual one, by `@name`. */
  readonly isGiven: boolean
  /** `people`: its rows. */
  readonly queryField: string
  /** `peopleChanged`: its changes. */
  readonly subscriptionField: string
  /** `People`: one row. */
  readonly rowType: string
  readonly changeType: string
  readonly keyType: string
  readonly snapshotType: string
  readonly filterType: string
  readonly orderType: string
  /** `peopleAggregate`: counts, sums and the like of its rows. */
  readonly aggregateField: string
  /** The beginning of the names of all types of aggregates. */
  readonly aggregateType: string
  /** Conditions on several linked rows. */
  readonly listFilterType: string
  /** In the order of the table. */
  readonly columns: readonly NamedColumn[]
}

export interface NamedColumn {
  readonly column: TableColumn
  readonly field: string
  /** Whether the comment on the column gives another name than the usual one, by `@name`. */
  readonly isGiven: boolean
}
