import { setTimeout as delay } from 'node:timers/promises'
import type { StressDatabase } from '../database.js'
import type { Random } from '../random.js'

/** Statements after which every live query of the run still fits: they heal themselves. */
const ALTERATIONS = [
  'alter table orders add column if not exists extra int default 5',
  'alter table orders drop column if exists extra',
  'alter table customers alter credit type numeric(12, 2)', // rewrites the table
  'alter table customers alter credit type numeric(12, 4)',
  'alter table customers alter name type varchar',
  'alter table customers alter name type text',
  `alter type grade rename value 'middle' to 'mid'; alter type grade rename value 'mid' to 'middle'`,
  'vacuum full customers',
  'truncate items',
]

export interface Alteration {
  readonly count: number
  pause(isOn: boolean): void
  stop(): Promise<void>
}

/** Alters the tables now and then, while writers write and servers are killed. */
export function startAltering(options: {
  readonly database: StressDatabase
  readonly random: Random
  readonly complain: (text: string) => void
}): Alteration {
  const { database, random, complain } = options
  const stopped = new AbortController()
  let isPaused = false
  let count = 0

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      await delay(random.int(300, 2500), undefined, { signal: stopped.signal }).catch(() => undefined)
      if (isPaused || stopped.signal.aborted) continue
      const sql = random.pick(ALTERATIONS)
      try {
        await database.session(async query => {
          await query(`set lock_timeout = '300ms'`)
          await query(sql)
        })
        count++
      } catch (error) {
        // The table is in use, or Postgres is being killed.
        const code = String((error as { code?: unknown }).code ?? '')
        const isExpected = /^(55P03|40P01|57P|08|E[A-Z]+$|$)/.test(code)
        if (!isExpected) complain(`${sql} failed: ${String(error)}`)
      }
    }
  }

  const running = run()
  return {
    get count() {
      return count
    },
    pause(isOn) {
      isPaused = isOn
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}
