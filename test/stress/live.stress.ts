import { afterAll, beforeAll, expect, it } from 'vitest'
import { SECRET } from '../support/tokens.js'
import { type StressDatabase, startStressDatabase } from './database.js'
import { EVERYONE } from './live/policies.js'
import { randomSchema } from './live/random-schema.js'
import { runLive } from './live/run.js'
import { sceneOf } from './live/schema-sql.js'
import { createRandom } from './random.js'
import { type StressServers, startStressServers } from './servers.js'

/** Duration in seconds; LISTENQL_STRESS_SECONDS=15 for a short run. */
const SECONDS = Number(process.env.LISTENQL_STRESS_SECONDS ?? 60)
const SEED = Number(process.env.LISTENQL_STRESS_SEED ?? Date.now() % 1_000_000)

const schema = randomSchema(createRandom(SEED, 'schema'))
const scene = sceneOf(schema, createRandom(SEED, 'rows'))

let database: StressDatabase
let servers: StressServers | undefined
beforeAll(async () => {
  database = await startStressDatabase(scene)
  // A stalled machine is no reason to end a query.
  servers = await startStressServers(database.serverUrl, [
    ...['--live-timeout', '60s', '--query-timeout', '60s'],
    ...(schema.policies.length > 0 ? ['--jwt-secret', SECRET, '--anonymous-role', EVERYONE] : []),
  ])
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
    print(`live: seed ${SEED}, ${SECONDS} s, ${schema.policies.length} policies`)
    const summary = await runLive({ seconds: SECONDS, seed: SEED, schema, database, servers, print }).catch(
      (error: unknown) => {
        print(
          `LISTENQL_STRESS_SEED=${SEED} failed, with this schema:\n${scene.sql}\nThe servers' last words:`,
        )
        for (const { name, log } of servers?.all ?? [])
          for (const line of log.slice(-15)) print(`  ${name}: ${line}`)
        throw error
      },
    )
    print(JSON.stringify(summary))
    expect(summary.complaints).toEqual([])
    // Otherwise the run would prove nothing.
    expect(summary.results).toBeGreaterThan(summary.compared)
    expect(Math.min(...Object.values(summary.judged))).toBeGreaterThan(0)
    expect(summary.judged.result).toBeGreaterThan(summary.results / 2)
    expect(summary.alterations).toBeGreaterThan(0)
  },
  SECONDS * 1000 + 300_000,
)
