import type { Link } from '../src/filters/index.js'
import { ListenqlError } from '../src/lib/errors.js'
import type { PlanRow } from '../src/plan/plan-result.js'
import type { TypedRelation, TypedTable } from './table-schema.js'

/** Marks a field in its `extensions`: it leads to rows that the events of a table do not have. */
export const IS_RELATION = 'isRelation'
/** Marks a field of Subscription in its `extensions`: it delivers the changes of a table. Its value is the field of Query with its rows. */
export const CHANGES_OF = 'changesOf'

/** A relation for filters and plans, which know columns and not fields. */
export function linkOf(from: TypedTable, relation: TypedRelation, to: TypedTable): Link {
  const { relid, schema, name } = to.table
  const pairs = relation.local.map((local, i) => ({
    local: columnOf(from, local),
    remote: columnOf(to, relation.remote[i] as string),
    operator: relation.operators[i] as string,
    collation: relation.collations[i] ?? null,
  }))
  return { relid, schema, table: name, isForward: relation.direction === 'forward', pairs }
}

function columnOf({ table }: TypedTable, name: string) {
  const column = table.columns.find(one => one.name === name)
  if (!column) throw new TypeError(`table ${table.name} has no column ${name}`)
  return column
}

/** The rows that a row leads to by a field. @param key the response key of the field */
export function linkedRows(row: PlanRow, key: string | number): readonly PlanRow[] {
  const rows = row.linked?.get(String(key))
  if (!rows) throw notInChanges(String(key))
  return rows
}

/** The error for a relation below the change of a row. */
export function notInChanges(field: string, rowsField?: string): ListenqlError {
  const instead = rowsField === undefined ? 'the rows of the table' : `${rowsField} { rows { ${field} … } }`
  return new ListenqlError(
    'ARGUMENT_INVALID',
    `${field}: a change has no linked rows, since they would be of another moment than the change`,
    { hint: `query ${instead} instead` },
  )
}
