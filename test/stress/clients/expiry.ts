import { setTimeout as delay } from 'node:timers/promises'
import type { Fault } from '../chaos.js'
import type { StressDatabase } from '../database.js'
import type { Random } from '../random.js'
import type { Address } from './address.js'
import { sealBranches } from './seal-branches.js'

/** Attempts to clear the log, which skips what a transaction still writes to. */
const ATTEMPTS = 20

/** Events are kept for so short a time that clients which are away come back with positions that have expired. */
export function expiry(database: StressDatabase, address: Address, random: Random): Fault {
  const clear = () =>
    database.session(async query => {
      for (let i = 0; i < ATTEMPTS; i++) {
        const [row] = await query<{ dropped: number }>(`select dropped from listenql.rotate('1 hour', 1)`)
        if (row && row.dropped > 0) return row.dropped
        await delay(20)
      }
      return 0
    })
  return {
    share: 2,
    async strike() {
      let dropped = 0
      await address.whileCut(async () => {
        await delay(random.int(50, 400))
        await sealBranches(database) // so that the clients surely miss something
        dropped = await clear()
      })
      return dropped > 0 ? 1 : 0
    },
  }
}
