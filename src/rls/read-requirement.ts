// What a query or a stream needs the right to read, and the rule that decides from a role's rights whether it may.
import type { Viewer } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { ListenqlError } from '../lib/errors.js'
import { altered, mayNotReadColumn, securedMeanwhile } from './access-errors.js'
import { missingGrant, type TableRights } from './privileges.js'

export interface ReadRequirement {
  readonly viewer: Viewer
  readonly table: WatchedTable
  /** Names in the table. */
  readonly columns: readonly string[]
}

/** What a stream needs the right to read. `seesAll`: it sees all rows; otherwise only those that the policies allow. */
export interface HeldRequirement extends ReadRequirement {
  readonly seesAll: boolean
}

/**
 * The error that names the first right that is missing; undefined if the role has all of them. Columns are compared by number: a
 * name may belong to another column by now.
 * @param rights of the viewer's role; undefined: the table is gone
 */
export function missingRight(
  { table, columns }: Pick<ReadRequirement, 'table' | 'columns'>,
  rights: TableRights | undefined,
): ListenqlError | undefined {
  if (!rights) return altered(table)
  const missing = missingGrant(table, rights)
  if (missing) return missing
  for (const name of columns) {
    const number = table.columns.find(column => column.name === name)?.number
    if (number === undefined || !rights.allNumbers.includes(number)) return altered(table)
    if (!rights.numbers.includes(number)) return mayNotReadColumn(table, name, rights.role)
  }
  return undefined
}

/** The same for a stream that has begun: it also ends when policies begin to decide about rows that it sees all of. */
export function missingRightOfStream(
  requirement: HeldRequirement,
  rights: TableRights | undefined,
): ListenqlError | undefined {
  const missing = missingRight(requirement, rights)
  if (missing || !requirement.seesAll || !rights?.hasRowSecurity) return missing
  return securedMeanwhile(requirement.table)
}
