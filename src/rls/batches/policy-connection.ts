import type pg from 'pg'
import { LockedOut, SourcesRewritten, StatementsLost } from '../policy-transaction.js'
import type { BatchMemory } from './batch-memory.js'

/** Lends a connection of the pool. One whose transaction has not surely ended, or which holds too many statements, is closed. */
export async function withPolicyConnection<Result>(
  pool: pg.Pool,
  { prepared }: Pick<BatchMemory, 'prepared'>,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  let isFit = false
  try {
    const result = await work(client)
    isFit = !prepared.isFull(client)
    return result
  } catch (error) {
    isFit = error instanceof LockedOut || error instanceof SourcesRewritten || error instanceof StatementsLost
    throw error
  } finally {
    client.release(!isFit)
  }
}
