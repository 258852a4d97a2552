import { setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { createChaos } from '../chaos.js'
import type { StressDatabase } from '../database.js'
import { within } from '../deadline.js'
import { learnCursors } from '../positions.js'
import { createRandom } from '../random.js'
import type { StressServer, StressServers } from '../servers.js'
import { startWriters } from '../writers.js'
import { startAltering } from './ddl.js'
import { LIVE_WRITERS } from './live-writers.js'
import { anyDocument } from './queries.js'
import { LiveViewer } from './viewer.js'

export interface LiveRunOptions {
  readonly seconds: number
  readonly seed: number
  readonly database: StressDatabase
  readonly servers: StressServers
  /** Receives a line of progress. */
  readonly print: (line: string) => void
}

export interface LiveSummary {
  readonly viewers: number
  readonly commits: number
  readonly results: number
  readonly connections: number
  /** Results that were compared with fresh queries while the writers rested. */
  readonly compared: number
  readonly alterations: number
  readonly kills: Readonly<Record<string, number>>
  readonly complaints: readonly string[]
}

const VIEWERS = 40
/** Longest and shortest period of faults before all results must be right, in ms. */
const ROUND = 13_000
const MIN_ROUND = 4000
/** Deadline for steps that must complete, in ms. It is no promise of speed. */
const PATIENCE = 60_000
/** The number of complaints after which the run stops. */
const ENOUGH = 20

/** One run: rounds of writing, altering and killing, after each of which every live query must show what a query shows. */
export async function runLive({
  seconds,
  seed,
  database,
  servers,
  print,
}: LiveRunOptions): Promise<LiveSummary> {
  const complaints: string[] = []
  const complain = (text: string) => void complaints.push(text)
  const random = (actor: string) => createRandom(seed, actor)
  const over = new AbortController()
  setMaxListeners(0, over.signal) // each viewer adds listeners
  await learnCursors(database.query)
  const viewers = Array.from({ length: VIEWERS }, (_, i) => {
    const name = `viewer ${i + 1}`
    const own = random(name)
    return new LiveViewer({
      name,
      document: anyDocument(own, i),
      servers: servers.all,
      random: own,
      complain,
    })
  })
  const [first] = servers.all
  for (const { document } of viewers)
    await within(PATIENCE, valid(first as StressServer, document.text), () => document.text)
  const chaos = createChaos({ database, servers, random: random('chaos'), pause: [100, 900] })
  const writers = startWriters({ url: database.writerUrl, scripts: LIVE_WRITERS, random, complain })
  const alteration = startAltering({ database, random: random('DDL'), complain })
  const running = viewers.map(viewer => viewer.run(over.signal))
  let compared = 0
  const summary = (): LiveSummary => ({
    viewers: viewers.length,
    commits: writers.tally.committed,
    results: sum(viewers, ({ results }) => results),
    connections: sum(viewers, ({ connections }) => connections),
    compared,
    alterations: alteration.count,
    kills: Object.fromEntries(chaos.tally),
    complaints,
  })
  try {
    const end = performance.now() + seconds * 1000
    for (let round = 1; complaints.length < ENOUGH; round++) {
      const ms = Math.max(MIN_ROUND, Math.min(ROUND, end - performance.now()))
      alteration.pause(false)
      await chaos.rage(ms * 0.7)
      writers.lull(true)
      await chaos.rage(ms * 0.3)
      writers.lull(false)
      alteration.pause(true)
      await within(PATIENCE, writers.pause(), () => 'writers to come to an end')
      compared += await waitUntilCorrect(viewers, servers.all)
      print(
        `round ${round}: ${JSON.stringify({ ...summary(), kills: undefined, complaints: complaints.length })}`,
      )
      if (end - performance.now() < MIN_ROUND) break
      writers.resume()
    }
    return { ...summary(), complaints: [...complaints, ...servers.all.flatMap(server => server.complaints)] }
  } catch (error) {
    for (const complaint of complaints.slice(0, ENOUGH)) print(`  ${complaint}`)
    throw error
  } finally {
    over.abort()
    await Promise.all([writers.stop(), alteration.stop(), ...running])
  }
}

/** Waits until every viewer shows what a query shows. @returns the number of viewers */
async function waitUntilCorrect(
  viewers: readonly LiveViewer[],
  servers: readonly StressServer[],
): Promise<number> {
  const wrong = new Map<LiveViewer, string>(viewers.map(viewer => [viewer, 'not asked']))
  const words = () =>
    [...wrong]
      .slice(0, 3)
      .map(
        ([{ name, document, latest }, fresh]) => `${name}: ${document.text}\nshows ${latest}\nnot   ${fresh}`,
      )
      .join('\n')
  const equal = async () => {
    for (let i = 0; wrong.size > 0; i++) {
      for (const viewer of [...wrong.keys()]) {
        const fresh = await ask(servers[i % servers.length] as StressServer, viewer.document.text)
        if (fresh !== undefined && fresh === viewer.latest) wrong.delete(viewer)
        else wrong.set(viewer, fresh ?? 'not answered')
      }
      await delay(50)
    }
  }
  await within(PATIENCE, equal(), () => `results to be right:\n${words()}`)
  return viewers.length
}

/** The data of a query, as text. Undefined: it could not be answered at the moment. */
async function ask({ url }: StressServer, text: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: `{ ${text} }` }),
    })
    const { data } = (await response.json()) as { data?: object }
    return data && JSON.stringify(data)
  } catch {
    return undefined
  }
}

async function valid(server: StressServer, text: string): Promise<void> {
  while ((await ask(server, text)) === undefined) await delay(50)
}

function sum<T>(all: readonly T[], count: (one: T) => number): number {
  return all.reduce((total, one) => total + count(one), 0)
}
