import { afterAll, beforeAll, expect, it } from 'vitest'
import { type StressDatabase, startStressDatabase } from './database.js'
import { runLive } from './live/run.js'
import { LIVE_SCENE } from './live/scene.js'
import { type StressServers, startStressServers } from './servers.js'

/** Duration in seconds; LISTENQL_STRESS_SECONDS=15 for a short run. */
const SECONDS = Number(process.env.LISTENQL_STRESS_SECONDS ?? 60)
const SEED = Number(process.env.LISTENQL_STRESS_SEED ?? Date.now() % 1_000_000)

let database: StressDatabase
let servers: StressServers | undefined
beforeAll(async () => {
  database = await startStressDatabase(LIVE_SCENE)
  // A stalled machine is no reason to end a query.
  servers = await startStressServers(database.serverUrl, ['--live-timeout', '60s', '--query-timeout', '60s'])
})
afterAll(async () => {
  await servers?.close()
  await database?.close()
})

const print = (line: string) => void process.stdout.write(`${line}\n`)

it(
  'whatever is written, altered and killed: live queries show what queries show, and each result is of one moment',
  async () => {
    if (!servers) throw new Error('no servers')
    print(`live: seed ${SEED}, ${SECONDS} s`)
    const summary = await runLive({ seconds: SECONDS, seed: SEED, database, servers, print }).catch(
      (error: unknown) => {
        print(`seed ${SEED} failed; the servers' last words:`)
        for (const { name, log } of servers?.all ?? [])
          for (const line of log.slice(-15)) print(`  ${name}: ${line}`)
        throw error
      },
    )
    print(JSON.stringify(summary))
    expect(summary.complaints).toEqual([])
    // Otherwise the run would prove nothing.
    expect(summary.results).toBeGreaterThan(3 * summary.compared)
    expect(summary.alterations).toBeGreaterThan(0)
    expect(Object.values(summary.kills).length).toBeGreaterThan(5)
  },
  SECONDS * 1000 + 300_000,
)
