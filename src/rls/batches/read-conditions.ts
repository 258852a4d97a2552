// Reads whether the policies of a table are ones that the server can evaluate itself, and which they are now. Call it after the events
// were read from the log: then a policy or a right that was changed before an event counts for the event, as if the database were asked.
import type pg from 'pg'
import type { WatchedTable } from '../../catalog/watched-table.js'
import { isStatementError } from '../../postgres/sql-state.js'
import { runSeveral } from '../../postgres/statements/multi-statement.js'
import type { RowCondition } from '../conditions/viewer-condition.js'
import { beginSql, recover } from '../policy-transaction.js'
import { type FoundRights, readRights } from '../role-rights.js'
import { SILENCE_MS } from './batch-limits.js'
import type { BatchMemory } from './batch-memory.js'
import { knownRightsSql, rememberRights } from './known-rights-sql.js'

/** The condition of a role by its rights as JSON. Undefined: the database has to be asked. */
export function conditionOf(
  memory: BatchMemory,
  table: WatchedTable,
  role: string,
  rights: string | undefined,
): RowCondition | undefined {
  if (rights === undefined || memory.selfReading.has(table.relid, role)) return undefined
  const plan = memory.planPolicies(table, rights)
  return plan.kind === 'asked' ? plan.condition : undefined
}

/**
 * One round trip, unless rights have changed.
 * @param budget a statement waits half of it for a lock, in ms
 * @returns the conditions by role; a role that is not in it needs the database
 * @throws LockedOut, or the error that ended the connection
 */
export async function readConditions(
  client: pg.PoolClient,
  table: WatchedTable,
  roles: readonly string[],
  budget: number,
  memory: BatchMemory,
): Promise<ReadonlyMap<string, RowCondition>> {
  memory.trim()
  const rights =
    (await confirmRights(client, table, roles, budget, memory)) ??
    (await readAnew(client, table, roles, budget, memory))
  const conditions = new Map<string, RowCondition>()
  for (const [role, found] of rights) {
    const condition = 'text' in found ? conditionOf(memory, table, role, found.text) : undefined
    if (condition) conditions.set(role, condition)
  }
  return conditions
}

/** @returns undefined: they are not known, or have changed */
async function confirmRights(
  client: pg.PoolClient,
  table: WatchedTable,
  roles: readonly string[],
  budget: number,
  memory: BatchMemory,
): Promise<ReadonlyMap<string, FoundRights> | undefined> {
  const { prepared } = memory
  const rights = knownRightsSql(client, table, roles, memory)
  if (!rights) return undefined
  const found: string[] = []
  try {
    const sql = `${beginSql(budget)}; ${rights.sql}; ${prepared.end(client, 'commit')}`
    await runSeveral(client, sql, SILENCE_MS, row => {
      if (row.length === 1) found.push(String(row[0]))
    })
  } catch (error) {
    if (!isStatementError(error)) throw error
    await recover(client, prepared, error)
    return undefined
  }
  prepared.ended(client)
  return rights.areCurrent(found) ? rights.known : undefined
}

async function readAnew(
  client: pg.PoolClient,
  table: WatchedTable,
  roles: readonly string[],
  budget: number,
  memory: BatchMemory,
): Promise<ReadonlyMap<string, FoundRights>> {
  const { prepared, usable } = memory
  await client.query(beginSql(budget))
  const found = await readRights(client, table, roles, usable, prepared)
  rememberRights(memory, table, found)
  await client.query(prepared.end(client, 'commit'))
  prepared.ended(client)
  return found
}
