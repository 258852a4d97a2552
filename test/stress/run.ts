import { setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { createCast } from './cast.js'
import { type Chaos, createChaos } from './chaos.js'
import type { StressClient } from './client.js'
import type { StressDatabase } from './database.js'
import { within } from './deadline.js'
import { createKeptLists } from './kept-lists.js'
import { writeMarkers } from './markers.js'
import { startNaiveReader } from './naive.js'
import { PEOPLE_WRITERS } from './people-writers.js'
import { learnCursors } from './positions.js'
import { createProgress, type Summary } from './progress.js'
import { createRandom } from './random.js'
import { TRUTH_SQL } from './scene.js'
import type { StressServers } from './servers.js'
import { PEOPLE, type Row, TOPICS } from './topics.js'
import { judge, type Verdict, type Witness } from './verdict.js'
import { startWriters, type Writers } from './writers.js'

export interface RunOptions {
  readonly seconds: number
  readonly seed: number
  readonly database: StressDatabase
  readonly servers: StressServers
  /** Receives a line of progress. */
  readonly print: (line: string) => void
}

/** Longest and shortest period of faults before all clients must catch up, in ms. */
const ROUND = 13_000
const MIN_ROUND = 4000

/** Deadlines for steps that must complete, in ms. None is a promise of speed. */
const PATIENCE = 60_000

/** The number of complaints after which the run stops. */
const ENOUGH = 20

/** One run: rounds of writing, disconnecting, reconnecting and killing, after each of which all clients must catch up. */
export async function run({ seconds, seed, database, servers, print }: RunOptions): Promise<Summary> {
  const complaints: string[] = []
  const complain = (text: string) => void complaints.push(text)
  const random = (actor: string) => createRandom(seed, actor)
  const over = new AbortController()
  setMaxListeners(0, over.signal) // each client adds a listener
  await learnCursors(database.query)
  const origin = await within(PATIENCE, firstCursor(servers), () => 'the first cursor')
  const clients = createCast({ origin, servers: servers.all, random, complain })
  const chaos = createChaos({ database, servers, random: random('chaos'), pause: [100, 900] })
  const naive = startNaiveReader(database.adminUrl)
  const writers = startWriters({ url: database.writerUrl, scripts: PEOPLE_WRITERS, random, complain })
  const lists = createKeptLists({
    servers,
    random: random('lists'),
    query: database.query,
    patience: PATIENCE,
  })
  const running = clients.map(client => client.run(over.signal))
  const progress = createProgress({ clients, chaos, writers, complaints, print })
  try {
    const end = performance.now() + seconds * 1000
    for (let round = 1; complaints.length < ENOUGH; round++) {
      await playRound(Math.max(MIN_ROUND, Math.min(ROUND, end - performance.now())), chaos, writers)
      await within(PATIENCE, writers.pause(), () => 'writers to come to an end')
      await becomeLevel(round, clients, database)
      await lists.equal()
      if (end - performance.now() < MIN_ROUND) break
      for (const client of clients) client.release()
      writers.resume()
    }
    await within(PATIENCE, writers.stop(), () => 'writers to stop')
    const missed = await naive.missed()
    over.abort()
    await within(PATIENCE, Promise.all(running), () => 'clients to stop')
    for (const server of servers.all) complaints.push(...server.complaints)
    return { ...progress.summary(), ...(await judgeAll(clients, database)), complaints, naive: missed }
  } catch (error) {
    for (const complaint of complaints.slice(0, ENOUGH)) print(`  ${complaint}`)
    throw error
  } finally {
    progress.stop()
    over.abort()
    await Promise.all([writers.stop(), naive.stop(), lists.dispose(), ...running])
  }
}

async function playRound(ms: number, chaos: Chaos, writers: Writers): Promise<void> {
  await chaos.rage(ms * 0.6)
  // Servers fall asleep between single commits, and are killed while asleep.
  writers.lull(true)
  await chaos.rage(ms * 0.2)
  writers.lull(false)
  await chaos.rage(ms * 0.2)
}

/** Stops writers, clients and faults: events in flight must arrive, and so must single commits. */
async function becomeLevel(
  round: number,
  clients: readonly StressClient[],
  database: StressDatabase,
): Promise<void> {
  const late = new Set(clients)
  const names = () => [...late].map(client => `${client.name} (last: ${client.whereabouts()})`).join('; ')
  await within(PATIENCE, Promise.all(clients.map(client => client.hold())), names)
  const markers = await within(
    PATIENCE,
    database.session(query => writeMarkers(query, round)),
    () => 'the last writes of a round',
  )
  const reached = clients.map(async client => {
    await client.reach(markers.get(client.record.topic.name) ?? [])
    late.delete(client)
  })
  await within(PATIENCE, Promise.all(reached), () => `clients to catch up in round ${round}: ${names()}`)
}

async function judgeAll(clients: readonly StressClient[], database: StressDatabase) {
  const truth = await database.query<{ topic: string; name: string }>(TRUTH_SQL)
  const verdicts: Verdict[] = []
  for (const topic of TOPICS) {
    const [first, ...rest] = clients.filter(client => client.record.topic === topic)
    const rows = topic.rowsSql && (await database.query<{ row: string }>(topic.rowsSql))
    verdicts.push(
      judge({
        topic,
        truth: truth.filter(each => each.topic === topic.name).map(each => each.name),
        rows: rows ? rows.map(({ row }) => JSON.parse(row) as Row) : undefined,
        clients: [first as Witness, ...rest],
      }),
    )
  }
  const sum = (count: (verdict: Verdict) => number) => verdicts.map(count).reduce((a, b) => a + b)
  return {
    events: sum(verdict => verdict.events),
    lost: sum(verdict => verdict.lost),
    doubled: sum(verdict => verdict.doubled),
    problems: verdicts.flatMap(verdict => verdict.problems),
  }
}

/** The start position: the end of the log before the first write, from a snapshot of an empty table. */
async function firstCursor({ all: [server] }: StressServers): Promise<string> {
  for (;;) {
    try {
      const response = await fetch(`${server?.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: PEOPLE.snapshot }),
      })
      const { data } = (await response.json()) as { data?: { it?: { cursor?: string } } }
      if (data?.it?.cursor) return data.it.cursor
    } catch {
      // Not up yet.
    }
    await delay(50)
  }
}
