import { expect, it } from 'vitest'
import { createLog } from '../support/log.js'
import { runCommands } from './commands/run.js'
import { WORLDS } from './commands/world.js'

/** Duration in seconds; LISTENQL_STRESS_SECONDS=15 for a short run. */
const SECONDS = Number(process.env.LISTENQL_STRESS_SECONDS ?? 60)
const SEED = Number(process.env.LISTENQL_STRESS_SEED ?? Date.now() % 1_000_000)
const TRANSACTIONS = 150

const print = (line: string) => void process.stdout.write(`${line}\n`)

it(
  'random commands: after each statement, the events so far give the contents of the tables',
  async () => {
    print(`commands: first seed ${SEED}, ${SECONDS} s`)
    const until = performance.now() + SECONDS * 1000
    const problems: string[] = []
    const sum = { runs: 0, statements: 0, refused: 0, events: 0 }
    for (let seed = SEED; performance.now() < until && problems.length === 0; seed++) {
      for (const world of Object.keys(WORLDS)) {
        const log = await createLog()
        try {
          const outcome = await runCommands({
            world,
            seed,
            transactions: TRANSACTIONS,
            client: await log.connect(),
            packed: seed % 2 === 1,
          })
          problems.push(...outcome.problems)
          sum.runs++
          sum.statements += outcome.statements
          sum.refused += outcome.refused
          sum.events += outcome.events
        } finally {
          await log.close()
        }
      }
    }
    print(`commands: ${JSON.stringify(sum)}`)
    expect(problems).toEqual([])
    // Otherwise the run would prove nothing.
    expect(sum.events).toBeGreaterThan(100)
    expect(sum.refused).toBeLessThan(sum.statements / 2)
  },
  SECONDS * 1000 + 300_000,
)
