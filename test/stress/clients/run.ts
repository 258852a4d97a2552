import { setTimeout as delay } from 'node:timers/promises'
import { getIntrospectionQuery } from 'graphql'
import { WebSocket } from 'ws'
import type { Introspection } from '../../../src/client/cache/tables-of.js'
import { createClient } from '../../../src/client/index.js'
import { query } from '../../support/graphql-request.js'
import { waitUntil } from '../../support/wait.js'
import { startAltering } from '../altering.js'
import { createChaos } from '../chaos.js'
import type { StressDatabase } from '../database.js'
import { within } from '../deadline.js'
import { createRandom, type Random } from '../random.js'
import type { StressServer, StressServers } from '../servers.js'
import { startWriters, type Writers } from '../writers.js'
import { ACCOUNT_WRITERS } from './account-writers.js'
import { createAddress } from './address.js'
import { refillTable, sealBranches } from './at-rest.js'
import { createCaches } from './cache-helpers.js'
import { createChannels } from './channel-helpers.js'
import { createCollections } from './collection-helpers.js'
import { ALTERATIONS } from './ddl.js'
import { clearLog, expiry } from './expiry.js'
import type { Helper, Kit } from './helper.js'
import { createKit } from './kit.js'
import { createQueries } from './query-helpers.js'
import { createFeeds, createLists } from './row-helpers.js'
import { showTables } from './show-tables.js'
import { readTables } from './tables.js'

export interface ClientsRunOptions {
  readonly seconds: number
  readonly seed: number
  readonly database: StressDatabase
  readonly servers: StressServers
  /** Receives a line of progress. */
  readonly print: (line: string) => void
}

export interface ClientsSummary extends Readonly<Writers['tally']> {
  readonly helpers: number
  /** States that were judged. */
  readonly states: number
  /** How often lists have read all rows again. */
  readonly readsAgain: number
  /** How often lists have been told that the table was emptied. */
  readonly truncates: number
  /** How often what helpers show was compared with the tables. */
  readonly compared: number
  /** Errors that helpers have reported, by code. */
  readonly errors: Readonly<Record<string, number>>
  readonly alterations: number
  readonly faults: Readonly<Record<string, number>>
  readonly complaints: readonly string[]
}

/** Longest and shortest period of faults before all helpers must show the tables, in ms. */
const ROUND = 7500
const MIN_ROUND = 4000
/** Deadline for steps that must complete, in ms. It is no promise of speed. */
const PATIENCE = 60_000
/** Mostly the way to the servers is disturbed: the other runs do more to Postgres. */
const SHARES = {
  'LISTEN connection': 1,
  'log connection': 1,
  "any of a server's connections": 1,
  'server kill -9': 2,
  'server SIGTERM': 2,
  'Postgres kill -9': 0,
  'Postgres backend kill -9': 0,
}
/** The number of complaints that a run that fails prints. */
const ENOUGH = 20

/** One run: rounds of writing, altering, killing and moving, after each of which all helpers must show what the tables contain. */
export async function runClients(options: ClientsRunOptions): Promise<ClientsSummary> {
  const { seconds, seed, database, servers, print } = options
  const complaints: string[] = []
  const complain = (text: string) => void complaints.push(text)
  const random = (actor: string) => createRandom(seed, actor)
  const introspection = await firstAnswer(servers.all[0] as StressServer)
  const address = await createAddress(servers, random('address'))
  const client = createClient({
    url: `${address.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryWait: () => delay(50),
  })
  const { kit, tally } = createKit({ client, complain })
  const sealAll = () => sealBranches(database)
  await sealAll() // before anything reads the table
  const helpers = createHelpers(kit, address.url, introspection)
  const alteration = startAltering({ database, choices: ALTERATIONS, random: random('DDL'), complain })
  const chaos = createChaos({
    database,
    servers,
    random: random('chaos'),
    pause: [100, 700],
    shares: SHARES,
    more: { ...address.faults, 'cursors expired': expiry(database, address, random('expiry')) },
  })
  let compared = 0
  async function compare(some: readonly Helper[] = helpers): Promise<void> {
    compared += await showTables(some, await readTables(database.query), { complaints, patience: PATIENCE })
  }
  /** What helpers do while nothing else happens: no fault and no change after it mends what they should have done. */
  async function compareAtRest(own: Random): Promise<void> {
    await compare()
    await refillTable(database, own)
    await compare()
    // Caches are about to read when the connection is lost, and lists have got the change.
    await refillTable(database, own)
    await compare(helpers.slice(0, 1))
    await address.whileCut(() => delay(own.int(50, 300)))
    await compare()
    await address.whileCut(async () => {
      await refillTable(database, own)
      await clearLog(database)
    })
    await compare()
    // Single commits must arrive, too, and show which events of the channel were the last.
    await sealAll()
    await compare()
  }
  const writers = startWriters({ url: database.writerUrl, scripts: ACCOUNT_WRITERS, random, complain })
  /** Whether enough has happened for the run to prove something. */
  const hasEnough = () =>
    ['moved behind nginx', 'connections cut'].every(kind => chaos.tally.has(kind)) && alteration.count > 0
  const summary = (): ClientsSummary => ({
    helpers: helpers.length,
    ...writers.tally,
    ...tally(),
    compared,
    alterations: alteration.count,
    faults: Object.fromEntries(chaos.tally),
    complaints,
  })
  try {
    await writers.pause()
    await alteration.pause()
    await compare()
    await sealAll()
    await compare()
    writers.resume()
    const end = performance.now() + seconds * 1000
    for (let round = 1; complaints.length === 0; round++) {
      const ms = Math.max(MIN_ROUND, Math.min(ROUND, end - performance.now()))
      alteration.resume()
      await chaos.rage(ms * 0.5)
      // A machine that is busy with something else needs more time for as much.
      for (const late = performance.now() + PATIENCE; !hasEnough() && performance.now() < late; )
        await chaos.rage(500)
      writers.lull(true)
      await chaos.rage(ms * 0.1)
      writers.lull(false)
      // Every fault makes helpers resume or read again, which would mend what a change should have mended.
      await delay(ms * 0.4)
      await alteration.pause()
      await within(PATIENCE, writers.pause(), () => 'writers to come to an end')
      await compareAtRest(random(`at rest ${round}`))
      print(
        `round ${round}: ${JSON.stringify({ ...summary(), faults: undefined, complaints: complaints.length })}`,
      )
      if (end - performance.now() < MIN_ROUND) break
      writers.resume()
    }
    return { ...summary(), complaints: [...complaints, ...servers.all.flatMap(server => server.complaints)] }
  } catch (error) {
    for (const complaint of complaints.slice(0, ENOUGH)) print(`  ${complaint}`)
    throw error
  } finally {
    await Promise.all([writers.stop(), alteration.stop()])
    for (const helper of helpers.toReversed()) await helper.dispose()
    await client.dispose()
    await address.close()
  }
}

function createHelpers(kit: Kit, url: string, introspection: Introspection): Helper[] {
  return [
    ...createLists(kit),
    ...createFeeds(kit),
    ...createQueries(kit),
    ...createChannels(kit),
    ...createCollections(kit),
    ...createCaches({ url, introspection, complain: kit.complain }),
  ]
}

/** Waits until a server knows the tables. */
function firstAnswer({ url }: StressServer): Promise<Introspection> {
  return waitUntil(
    async () => {
      try {
        await query(url, '{ accounts { cursor } owners { cursor } }')
        return (await query(url, getIntrospectionQuery())) as unknown as Introspection
      } catch {
        return undefined // not up yet
      }
    },
    `${url} to be ready`,
    PATIENCE,
  )
}
