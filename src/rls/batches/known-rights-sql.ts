import type pg from 'pg'
import type { WatchedTable } from '../../catalog/watched-table.js'
import { RIGHTS, type RowRights } from '../privileges.js'
import { type FoundRights, readRightsSql, usableOf } from '../role-rights.js'
import type { BatchMemory } from './batch-memory.js'

/** The rights of roles on a table as they were read last, and the SQL that reads them again. */
export interface KnownRightsSql {
  readonly known: ReadonlyMap<string, FoundRights>
  /** It returns one row of one column for each role: the rights. Run it in a transaction with the savepoint `listenql`. */
  readonly sql: string
  /** Whether they are still the same. @param found what the SQL has returned */
  areCurrent(found: readonly string[]): boolean
}

/** @returns undefined: the rights of a role are not known, or the session has no prepared statement that reads them */
export function knownRightsSql(
  client: pg.ClientBase,
  table: WatchedTable,
  roles: readonly string[],
  { rightsOf, usable, prepared }: BatchMemory,
): KnownRightsSql | undefined {
  const rights = rightsOf(table.relid)
  const known = new Map<string, FoundRights>()
  const expected: string[] = []
  const reads: string[] = []
  for (const role of roles) {
    const text = rights.get(role)
    const settings = text && usableOf(usable, role, (JSON.parse(text) as RowRights).settings)
    if (text === undefined || !settings || !prepared.has(client, RIGHTS, role)) return undefined
    known.set(role, { text })
    expected.push(text)
    reads.push(readRightsSql(table, role, settings, prepared))
  }
  return {
    known,
    sql: reads.join('; '),
    areCurrent: found => found.length === expected.length && found.every((text, i) => text === expected[i]),
  }
}

/** @param found the rights as they were read now */
export function rememberRights(
  { rightsOf }: BatchMemory,
  { relid }: WatchedTable,
  found: ReadonlyMap<string, FoundRights>,
): void {
  const rights = rightsOf(relid)
  for (const [role, one] of found) {
    if ('text' in one && one.text !== undefined) rights.set(role, one.text)
    else rights.delete(role)
  }
}
