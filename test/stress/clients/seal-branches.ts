import type { StressDatabase } from '../database.js'
import { BRANCHES } from './scene.js'

/** Seals each branch, in a transaction of its own. */
export function sealBranches(database: StressDatabase): Promise<void> {
  return database.session(async query => {
    for (const branch of BRANCHES) await query('select seal($1)', [branch])
  })
}
