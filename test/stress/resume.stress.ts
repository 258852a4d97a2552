import { afterAll, beforeAll, expect, it } from 'vitest'
import { type StressDatabase, startStressDatabase } from './database.js'
import { summaryLines } from './progress.js'
import { run } from './run.js'
import { type StressServers, startStressServers } from './servers.js'

/** Duration in seconds; LISTENQL_STRESS_SECONDS=15 for a short run. */
const SECONDS = Number(process.env.LISTENQL_STRESS_SECONDS ?? 60)
/** The same seed gives the same schedule, but not the same outcome of races. */
const SEED = Number(process.env.LISTENQL_STRESS_SEED ?? Date.now() % 1_000_000)

let database: StressDatabase
let servers: StressServers | undefined
beforeAll(async () => {
  database = await startStressDatabase()
  servers = await startStressServers(database.serverUrl)
})
afterAll(async () => {
  await servers?.close()
  await database?.close()
})

const print = (line: string) => void process.stdout.write(`${line}\n`)

it(
  'whatever is killed and wherever clients resume: nothing is lost, nothing arrives twice, in one order',
  async () => {
    if (!servers) throw new Error('no servers')
    print(`stress: seed ${SEED}, ${SECONDS} s`)
    const summary = await run({ seconds: SECONDS, seed: SEED, database, servers, print }).catch(
      (error: unknown) => {
        print(`seed ${SEED} failed; the servers' last words:`)
        for (const { name, log } of servers?.all ?? [])
          for (const line of log.slice(-15)) print(`  ${name}: ${line}`)
        throw error
      },
    )
    for (const line of summaryLines(SEED, summary)) print(line)
    expect(summary.complaints).toEqual([])
    expect(summary.problems).toEqual([])
    expect({ lost: summary.lost, doubled: summary.doubled }).toEqual({ lost: 0, doubled: 0 })
    // Otherwise the run would prove nothing.
    expect(summary.naive.missed).toBeGreaterThan(0)
    expect(Object.values(summary.kills).length).toBeGreaterThan(5)
  },
  SECONDS * 1000 + 300_000,
)
