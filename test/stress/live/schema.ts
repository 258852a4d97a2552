/** The tables of a run, as its generator has drawn them. Nothing here comes from the program that is tested. */
export interface Schema {
  /** In an order in which rows can be inserted. */
  readonly tables: readonly Table[]
  readonly references: readonly Reference[]
  /** Each after those of the tables that it reads. None: viewers have no roles. */
  readonly policies: readonly Policy[]
  /** Labels of the enum `grade`, smallest first. */
  readonly grades: readonly string[]
}

export type ColumnType = 'int' | 'bigint' | 'numeric' | 'text' | 'bool' | 'grade' | 'date'

export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** Digits after the point. Undefined: as many as are written, so that equal numbers have different texts. */
  readonly scale?: number
  readonly isRequired: boolean
  /** Values are drawn from this many. */
  readonly domain: number
}

export interface Table {
  readonly name: string
  readonly columns: readonly Column[]
  /** Columns of the primary key; none if there is none. */
  readonly key: readonly string[]
  /** Hash: two partitions by the first column of the key. List: by the grade, one partition for the first grade and one for the rest. */
  readonly partitions: 'hash' | 'list' | undefined
}

/** A foreign key. */
export interface Reference {
  readonly name: string
  readonly from: string
  readonly columns: readonly string[]
  readonly to: string
  readonly toColumns: readonly string[]
  readonly actions: string
  readonly isDeferred: boolean
  readonly isUnique: boolean
  /** Fields in GraphQL: from the row to the referenced one, and back. */
  readonly forward: string
  readonly backward: string
}

/** Shows the rows of a table to viewers whose claim `grade` equals the column `v1`: of the row, which may also be NULL, or of a linked row. */
export interface Policy {
  readonly table: string
  readonly relation: Relation | undefined
}

/** A foreign key as it leads from one of its tables to the other. */
export interface Relation {
  readonly field: string
  readonly to: string
  readonly isMany: boolean
  /** Columns of this table and of the other that are equal. */
  readonly pairs: readonly (readonly [local: string, remote: string])[]
}

export function tableOf({ tables }: Schema, name: string): Table {
  const found = tables.find(table => table.name === name)
  if (!found) throw new TypeError(`there is no table ${name}`)
  return found
}

export function columnOf({ columns, name: table }: Table, name: string): Column {
  const found = columns.find(column => column.name === name)
  if (!found) throw new TypeError(`table ${table} has no column ${name}`)
  return found
}

/** The relations of a table, in both directions. */
export function relationsOf({ references }: Pick<Schema, 'references'>, table: string): Relation[] {
  const pairs = (local: readonly string[], remote: readonly string[]) =>
    local.map((name, i) => [name, remote[i] as string] as const)
  return references.flatMap(({ from, to, columns, toColumns, forward, backward, isUnique }) => [
    ...(from === table ? [{ field: forward, to, isMany: false, pairs: pairs(columns, toColumns) }] : []),
    ...(to === table
      ? [{ field: backward, to: from, isMany: !isUnique, pairs: pairs(toColumns, columns) }]
      : []),
  ])
}
