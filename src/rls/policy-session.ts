import type pg from 'pg'
import type { Prepared } from './prepared.js'

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

export async function rollBack(client: pg.PoolClient, prepared: Prepared): Promise<void> {
  await client.query(prepared.end(client, 'rollback'))
  prepared.ended(client)
}
