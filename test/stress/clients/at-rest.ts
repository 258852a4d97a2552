import pg from 'pg'
import type { StressDatabase } from '../database.js'
import type { Random } from '../random.js'
import { refill } from './account-writers.js'
import { BRANCHES } from './scene.js'

/** Seals each branch, in a transaction of its own, which waits for those of the writers: a seal is of what its statement sees. */
export function sealBranches(database: StressDatabase): Promise<void> {
  return database.session(async query => {
    const seal = async (branch: (typeof BRANCHES)[number]): Promise<void> => {
      await query('begin')
      await query('lock table accounts in share row exclusive mode')
      await query('select seal($1)', [branch])
      await query('commit')
    }
    for (const branch of BRANCHES) {
      for (let attempt = 1; ; attempt++) {
        try {
          await seal(branch)
          break
        } catch (error) {
          // A writer, or an alteration of the table, may hold what this waits for, and wait for this lock.
          if (attempt === ATTEMPTS || (error as { code?: string }).code !== DEADLOCK) throw error
          await query('rollback')
        }
      }
    }
  })
}

const DEADLOCK = '40P01'
/** Attempts to seal a branch. */
const ATTEMPTS = 10

/** Empties the table and fills it again, in one transaction. To be called while nothing is written or killed. */
export async function refillTable({ adminUrl }: StressDatabase, random: Random): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl, application_name: 'stress' })
  await client.connect()
  try {
    await client.query('begin')
    await refill(client, random)
    await client.query('commit')
  } finally {
    await client.end()
  }
}
