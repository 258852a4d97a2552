import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import { messageOf } from '../lib/errors.js'
import { nodesOf } from '../plan/plan.js'
import { hasSqlState, isServerError, isTimeout, SQL_STATE } from '../postgres/sql-state.js'
import { mayNotRead, policiesFailed } from '../rls/access-errors.js'
import type { ReadLimits } from './read-limits.js'
import { notRead, notReadable, schemaChanged, sumTooLarge, tooLarge, tooSlow } from './snapshot-errors.js'
import type { Outcome } from './snapshot-jobs.js'
import type { SnapshotQuery } from './snapshot-query.js'
import { readTablesNow } from './table-now.js'

/** The table was altered or dropped; internal_error: one of its types was dropped. */
const ALTERED = [
  SQL_STATE.undefinedColumn,
  SQL_STATE.undefinedTable,
  SQL_STATE.undefinedObject,
  SQL_STATE.invalidSchemaName,
  SQL_STATE.undefinedFunction,
  SQL_STATE.datatypeMismatch,
  SQL_STATE.internalError,
]

/** Of floats, and of intervals. */
const OUT_OF_RANGE = [SQL_STATE.numericValueOutOfRange, SQL_STATE.datetimeFieldOverflow]

/**
 * What follows from an error with which Postgres has refused to read a table: another try, or an error for the client. Runs in
 * the snapshot of the read, and may leave the transaction in error.
 */
export async function explainFailure(
  client: pg.Client,
  { plan, table, viewer }: SnapshotQuery,
  error: unknown,
  limits: ReadLimits,
): Promise<Outcome> {
  const role = viewer?.role
  const tables = [...plan.tables.values()]
  if (hasSqlState(error, ...ALTERED)) {
    // Postgres parses SQL with the newest catalogue. If the snapshot's is older, it is too early to decide.
    const { unwatched, altered } = await readTablesNow(client, tables)
    const changed = unwatched ?? altered
    if (changed) return { kind: 'failed', error: schemaChanged(changed) }
    return { kind: 'again', reason: messageOf(error) }
  }
  // Statements that alter tables or policies take their locks in another order.
  if (hasSqlState(error, SQL_STATE.deadlockDetected, SQL_STATE.serializationFailure))
    return { kind: 'again', reason: messageOf(error) }
  if (hasSqlState(error, SQL_STATE.insufficientPrivilege)) {
    if (role !== undefined) return { kind: 'failed', error: mayNotRead(table, role, error) }
    for (const one of tables) {
      const login = await loginWithoutRight(client, one)
      if (login !== undefined) return { kind: 'failed', error: notReadable(one, login, error) }
    }
    return { kind: 'failed', error: notRead(table, error) }
  }
  if (isTooLarge(error)) return { kind: 'failed', error: tooLarge(table, limits) }
  if (isTimeout(error)) return { kind: 'failed', error: tooSlow(table, limits, error) }
  if (hasSqlState(error, ...OUT_OF_RANGE) && nodesOf(plan).some(node => node.kind !== 'rows'))
    return { kind: 'failed', error: sumTooLarge(table, error) }
  if (viewer?.isSecured && !isServerError(error))
    return { kind: 'failed', error: policiesFailed(table, error) }
  return { kind: 'failed', error: notRead(table, error) }
}

/** An image of more than 1 GB, which Postgres builds in a string buffer. */
function isTooLarge(error: unknown): boolean {
  if (hasSqlState(error, SQL_STATE.programLimitExceeded)) return true
  return hasSqlState(error, SQL_STATE.outOfMemory) && /string buffer/.test(messageOf(error))
}

/** The server's login, if it may not read the table. */
async function loginWithoutRight(client: pg.Client, { relid }: WatchedTable): Promise<string | undefined> {
  const { rows } = await client.query<{ login: string; mayRead: boolean }>(
    `select current_user::text as login, coalesce(has_table_privilege($1::oid, 'select')
       and has_schema_privilege((select relnamespace from pg_class where oid = $1::oid), 'usage'), false) as "mayRead"`,
    [relid],
  )
  const { login, mayRead } = rows[0] as { login: string; mayRead: boolean }
  return mayRead ? undefined : login
}
