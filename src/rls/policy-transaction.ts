// The transaction in which policies are evaluated, on behalf of many roles and viewers: how it begins, what undoes all that one role
// or viewer has set in it, and how it ends after an error. It is read-only, and all of it sees one snapshot.
import type pg from 'pg'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import type { Prepared } from '../postgres/statements/prepared.js'

/** Longest time that a statement of the server itself may take, in ms. */
export const OWN_STATEMENT_TIMEOUT_MS = 30_000

/** @param budget time for the policies of one viewer, in ms; a statement waits half of it for a lock */
export function beginSql(budget: number): string {
  return `begin isolation level repeatable read read only; set local row_security = on; set local jit = off;
    set local lc_monetary = 'C'; set local xmloption = content; set local plan_cache_mode = force_generic_plan;
    set local lock_timeout = ${Math.ceil(budget / 2)}; set local statement_timeout = ${OWN_STATEMENT_TIMEOUT_MS};
    savepoint listenql`
}

/** Undoes what statements have set under a role (the role, the claims, settings made by functions), and clears an error. */
export const CLEAN = 'rollback to savepoint listenql'
/** The same, except for the role and its settings. */
export const CLEAN_CLAIMS = 'rollback to savepoint listenql_role'

/** A policy had to wait for a lock. It is not an error of the policy, so it is retried. The transaction is over. */
export class LockedOut extends Error {
  override readonly name = 'LockedOut'
}

/** A function that a policy calls has dropped prepared statements. It is retried at once. The transaction is over. */
export class StatementsLost extends Error {
  override readonly name = 'StatementsLost'
}

/** A table that policies read was truncated or rewritten after the snapshot. It is retried at once. The transaction is over. */
export class SourcesRewritten extends Error {
  override readonly name = 'SourcesRewritten'
}

export function isLocked(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.lockNotAvailable)
}

/** A function that a policy calls, or another client of a pooler, has dropped the prepared statement. */
export function isStatementLost(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.invalidSqlStatementName)
}

export async function rollBack(client: pg.PoolClient, prepared: Prepared): Promise<void> {
  await client.query(prepared.end(client, 'rollback'))
  prepared.ended(client)
}

/** Ends the transaction because of a lock. @throws LockedOut */
export async function endLockedOut(
  client: pg.PoolClient,
  prepared: Prepared,
  cause: unknown,
): Promise<never> {
  await rollBack(client, prepared)
  throw new LockedOut('a lock is in the way', { cause })
}

/**
 * Ends the transaction after an error.
 * @throws LockedOut if a lock was in the way
 */
export async function recover(client: pg.PoolClient, prepared: Prepared, failure: unknown): Promise<void> {
  if (isStatementLost(failure)) prepared.forget(client)
  if (isLocked(failure)) await endLockedOut(client, prepared, failure)
  await rollBack(client, prepared)
}
