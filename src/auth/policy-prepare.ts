import pg from 'pg'
import { sqlStateOf } from '../database/several.js'
import type { WatchedTable } from '../database/watched-table.js'
import { type ListenqlError, messageOf } from '../lib/errors.js'
import { cannotBeAsked } from './access-errors.js'
import { QUESTION_PARAMETERS, type Question, questionOf } from './policy-sql.js'
import type { Prepared } from './prepared.js'

/** A lock is in the way of a policy: nobody's fault, so that it is worth another try. */
export class LockedOut extends Error {
  override readonly name = 'LockedOut'
}

/**
 * Prepares a question in a transaction with the savepoint `listenql`. As the role itself, since a statement is looked at
 * again under the role that executes it when something that it rests on has changed; if that may not use a schema that the
 * policy names, as our login: Postgres wants no USAGE for what a policy calls.
 * @returns why it cannot be: which policy does not work on images
 */
export async function provideQuestion(
  client: pg.PoolClient,
  table: WatchedTable,
  role: string,
  question: Question,
  prepared: Prepared,
): Promise<ListenqlError | undefined> {
  const refusal = await tryAs(client, role, question, prepared)
  if (refusal === undefined) return undefined
  for (const policy of question.policies) {
    const alone = questionOf(table, [{ ...policy, isPermissive: true }])
    const own = await tryAs(client, role, alone, prepared)
    if (own !== undefined) return cannotBeAsked(table, policy.name, messageOf(own), own)
  }
  return cannotBeAsked(
    table,
    question.policies.map(({ name }) => name).join(', '),
    messageOf(refusal),
    refusal,
  )
}

async function tryAs(
  client: pg.PoolClient,
  role: string,
  question: Question,
  prepared: Prepared,
): Promise<unknown> {
  let refusal: unknown
  for (const one of [role, undefined]) {
    try {
      await client.query('rollback to savepoint listenql')
      if (one !== undefined) await client.query(`set local role ${pg.escapeIdentifier(one)}`)
      await prepared.provide(client, question.text, QUESTION_PARAMETERS, role)
      return undefined
    } catch (error) {
      const state = sqlStateOf(error)
      if (state === undefined) throw error
      refusal ??= error
      if (state === '55P03' || state === '57014') {
        await rollBack(client, prepared)
        throw new LockedOut('a lock is in the way', { cause: error })
      }
      if (state !== '42501') return refusal
    }
  }
  return refusal
}

export async function rollBack(client: pg.PoolClient, prepared: Prepared): Promise<void> {
  await client.query(prepared.end(client, 'rollback'))
  prepared.ended(client)
}
