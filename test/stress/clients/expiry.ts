import { setTimeout as delay } from 'node:timers/promises'
import type { Fault } from '../chaos.js'
import type { StressDatabase } from '../database.js'
import type { Random } from '../random.js'
import type { Address } from './address.js'
import { sealBranches } from './at-rest.js'

/** Attempts to clear the log, which skips what a transaction still writes to. */
const ATTEMPTS = 20

/** Clears the log. @returns whether anything was cleared */
export function clearLog(database: StressDatabase): Promise<boolean> {
  return database.session(async query => {
    for (let i = 0; i < ATTEMPTS; i++) {
      const [row] = await query<{ dropped: number }>(`select dropped from listenql.rotate('1 hour', 1)`)
      if (row && row.dropped > 0) return true
      await delay(20)
    }
    return false
  })
}

/** Events are kept for so short a time that clients which are away come back with positions that have expired. */
export function expiry(database: StressDatabase, address: Address, random: Random): Fault {
  return {
    share: 2,
    async strike() {
      let isCleared = false
      await address.whileCut(async () => {
        await delay(random.int(50, 400))
        await sealBranches(database) // so that the clients surely miss something
        isCleared = await clearLog(database)
      })
      return isCleared ? 1 : 0
    },
  }
}
