import type pg from 'pg'
import type { Random } from './random.js'

/** Errors that a transaction may hit by chance; it was rolled back, and the writer continues. */
const CHANCE = new Set([
  '23503', // a row that another transaction has deleted
  '23505', // another transaction inserted this key first
  '25P02', // a statement before it failed
  '40001',
  '40P01',
  '55P03', // lock timeout
  '57014', // statement timeout
])

/** Runs a statement as its own transaction. @returns whether it was committed */
export async function byItself(task: () => Promise<void>): Promise<boolean> {
  try {
    await task()
    return true
  } catch (error) {
    if (!isByChance(error)) throw error
    return false
  }
}

/** @returns whether it was committed */
export async function inTransaction(
  client: pg.Client,
  random: Random,
  task: () => Promise<void>,
): Promise<boolean> {
  try {
    await client.query(random.pick(BEGIN))
    // An asynchronous commit may be lost in a crash, and then no client may have received it.
    if (random.chance(0.1)) await client.query('set local synchronous_commit = off')
    await task()
    const commits = random.chance(0.85)
    await client.query(commits ? 'commit' : 'rollback')
    return commits
  } catch (error) {
    if (!isByChance(error)) throw error
    await client.query('rollback')
    return false
  }
}

const BEGIN = [
  'begin',
  'begin',
  'begin',
  'begin isolation level repeatable read',
  'begin isolation level serializable',
]

export function isByChance(error: unknown): boolean {
  return error instanceof Error && 'code' in error && CHANCE.has(String(error.code))
}
