import { afterAll, beforeAll, expect, it } from 'vitest'
import { findNginx } from '../support/nginx.js'
import { runClients } from './clients/run.js'
import { SCENE } from './clients/scene.js'
import { type StressDatabase, startStressDatabase } from './database.js'
import { type StressServers, startStressServers } from './servers.js'

/** Duration in seconds; LISTENQL_STRESS_SECONDS=15 for a short run. */
const SECONDS = Number(process.env.LISTENQL_STRESS_SECONDS ?? 60)
const SEED = Number(process.env.LISTENQL_STRESS_SEED ?? Date.now() % 1_000_000)

const nginx = findNginx()
if (nginx === undefined) console.warn('Skipped: the helpers of clients. There is no nginx here.')

let database: StressDatabase
let servers: StressServers | undefined
beforeAll(async () => {
  if (nginx === undefined) return
  database = await startStressDatabase(SCENE)
  // A stalled machine is no reason to end a query.
  servers = await startStressServers(database.serverUrl, ['--live-timeout', '60s', '--query-timeout', '60s'])
})
afterAll(async () => {
  await servers?.close()
  await database?.close()
})

const print = (line: string) => void process.stdout.write(`${line}\n`)

it.skipIf(nginx === undefined)(
  'whatever is killed, cut, altered and moved: what is on the screen equals the tables, and each state is one of them',
  async () => {
    if (!servers) throw new Error('no servers')
    print(`clients: seed ${SEED}, ${SECONDS} s`)
    const options = { seconds: SECONDS, seed: SEED, database, servers, print }
    const summary = await runClients(options).catch((error: unknown) => {
      print(`LISTENQL_STRESS_SEED=${SEED} failed; the servers' last words:`)
      for (const { name, log } of servers?.all ?? [])
        for (const line of log.slice(-15)) print(`  ${name}: ${line}`)
      throw error
    })
    print(JSON.stringify(summary))
    expect(summary.complaints).toEqual([])
    // Otherwise the run would prove nothing.
    expect(summary.states).toBeGreaterThan(50)
    expect(summary.committed).toBeGreaterThan(20)
    expect(summary.alterations).toBeGreaterThan(0)
    expect(Object.keys(summary.faults)).toEqual(
      expect.arrayContaining(['moved behind nginx', 'connections cut']),
    )
    expect(Math.min(summary.readsAgain, summary.truncates)).toBeGreaterThan(0)
    expect(summary.errors).toMatchObject({ CURSOR_EXPIRED: expect.any(Number) })
  },
  SECONDS * 1000 + 300_000,
)
