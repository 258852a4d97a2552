import type pg from 'pg'
import type { Prepared } from './prepared.js'

/** Takes back what the statements under a role leave behind: the role, the claims, what functions have set; and an error. */
export const CLEAN = 'rollback to savepoint listenql'
/** The same, but for the role and its settings. */
export const CLEAN_CLAIMS = 'rollback to savepoint listenql_role'

/** A lock is in the way of a policy: nobody's fault, so that it is worth another try. The transaction is over. */
export class LockedOut extends Error {
  override readonly name = 'LockedOut'
}

/** A function that a policy calls has dropped prepared statements: worth another try at once. The transaction is over. */
export class StatementsLost extends Error {
  override readonly name = 'StatementsLost'
}

export async function rollBack(client: pg.PoolClient, prepared: Prepared): Promise<void> {
  await client.query(prepared.end(client, 'rollback'))
  prepared.ended(client)
}
