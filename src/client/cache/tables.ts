/** A field that shows rows of a table. */
export interface TableField {
  /** The type of the rows, such as `People`. */
  readonly type: string
  /** Several rows with a cursor (`people { cursor rows }`), several rows, one row or null, or what is counted over rows. */
  readonly shows: 'snapshot' | 'rows' | 'row' | 'aggregate'
}

/** What a cache has to know of a watched table. */
export interface Table {
  /** The field of Subscription with its changes, such as `peopleChanged`. */
  readonly changes: string
  /** The type of these changes, such as `PeopleChange`. */
  readonly change: string
  /** The fields of the primary key; empty if the table has none, so that its rows cannot be normalised. */
  readonly key: readonly string[]
  /** The fields that changes deliver: columns, no linked rows. */
  readonly columns: readonly string[]
  /** The fields with rows of this or another table, by name. */
  readonly links: Readonly<Record<string, TableField>>
}

/** The watched tables of a schema, as plain data: `JSON.stringify` keeps all of it. */
export interface Tables {
  /** The tables, by the type of their rows. */
  readonly rows: Readonly<Record<string, Table>>
  /** The name of the type Query. */
  readonly query: string
  /** The fields of Query that show rows, by name. */
  readonly roots: Readonly<Record<string, TableField>>
  /** Types without an identity, such as `PeopleSnapshot` and `PeopleAggregate`. */
  readonly embedded: readonly string[]
}

/** Only the primary keys, by the type of the rows: `{ People: ['pk'] }`. */
export type TableKeys = Readonly<Record<string, readonly string[]>>

/** Returns the primary keys of tables. */
export function tableKeysOf(tables: Tables | TableKeys): TableKeys {
  if (!isTables(tables)) return tables
  return Object.fromEntries(Object.entries(tables.rows).map(([type, { key }]) => [type, key]))
}

/** Returns the fields that show rows in a certain way, such as `Query.people` and `Visits.person`. */
export function fieldsShowing(
  { rows, query, roots }: Tables,
  isWanted: (field: TableField) => boolean,
): string[] {
  const holders = Object.entries(rows).map(([type, { links }]) => [type, links] as const)
  return [[query, roots] as const, ...holders].flatMap(([holder, fields]) =>
    Object.entries(fields)
      .filter(([, field]) => isWanted(field))
      .map(([name]) => `${holder}.${name}`),
  )
}

const SUFFIXES = [
  'Snapshot',
  'Aggregate',
  'AggregateAvg',
  'AggregateGroup',
  'AggregateGroupKey',
  'AggregateMax',
].concat(['AggregateMin', 'AggregateSum', 'Key', 'Change'])

/** Returns the types that have no identity; where only keys are given, by the names that listenql usually gives them. */
export function embeddedTypesOf(tables: Tables | TableKeys): readonly string[] {
  if (isTables(tables)) return tables.embedded
  return Object.keys(tables).flatMap(type => SUFFIXES.map(suffix => type + suffix))
}

function isTables(tables: Tables | TableKeys): tables is Tables {
  return 'rows' in tables && !Array.isArray(tables.rows)
}
