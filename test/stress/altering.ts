import { setTimeout as delay } from 'node:timers/promises'
import type { StressDatabase } from './database.js'
import type { Random } from './random.js'

/** Statements that belong together, run one after another with a pause between them, such as one that takes back the one before. */
export type Alteration = readonly [string, ...string[]]

export interface Altering {
  /** Alterations so far. */
  readonly count: number
  /** Resolves once none is under way. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
}

export interface AlteringOptions {
  readonly database: StressDatabase
  readonly choices: readonly Alteration[]
  readonly random: Random
  readonly complain: (text: string) => void
}

/** Alters tables now and then, while writers write and servers are killed. */
export function startAltering({ database, choices, random, complain }: AlteringOptions): Altering {
  const stopped = new AbortController()
  const { signal } = stopped
  let isPaused = false
  let count = 0
  let underWay: Promise<void> = Promise.resolve()

  const wait = (from: number, to: number) =>
    delay(random.int(from, to), undefined, { signal }).catch(() => undefined)

  /** @returns whether it was done */
  async function run(sql: string): Promise<boolean> {
    try {
      await database.session(async query => {
        await query(`set lock_timeout = '300ms'`)
        await query(sql)
      })
      return true
    } catch (error) {
      // The table is in use, a deferred reference is not there yet, or Postgres is being killed.
      const code = String((error as { code?: unknown }).code ?? '')
      const isExpected = /^(55P03|40P01|23503|57P|08|E[A-Z]+$|$)/.test(code)
      if (!isExpected) complain(`${sql} failed: ${String(error)}`)
      return !isExpected
    }
  }
  async function alter([first, ...others]: Alteration): Promise<void> {
    if (!(await run(first))) return
    count++
    for (const sql of others) {
      await wait(100, 1200)
      while (!signal.aborted && !(await run(sql))) await delay(50)
    }
  }
  async function keepAltering(): Promise<void> {
    while (!signal.aborted) {
      await wait(300, 2500)
      if (isPaused || signal.aborted) continue
      underWay = alter(random.pick(choices))
      await underWay
    }
  }

  const running = keepAltering()
  return {
    get count() {
      return count
    },
    async pause() {
      isPaused = true
      await underWay
    },
    resume() {
      isPaused = false
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}
