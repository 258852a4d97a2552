import { setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { startAltering } from '../altering.js'
import { createChaos } from '../chaos.js'
import type { StressDatabase } from '../database.js'
import { within } from '../deadline.js'
import { learnCursors } from '../positions.js'
import { createRandom, type Random } from '../random.js'
import type { StressServer, StressServers } from '../servers.js'
import { startWriters } from '../writers.js'
import { ask, keepAsking } from './asker.js'
import { canonicalData } from './canonical-data.js'
import { alterations } from './ddl.js'
import { type LiveDocument, printDocument } from './document.js'
import { readHistory } from './history.js'
import { liveWriters } from './live-writers.js'
import { missingEvents } from './missing-events.js'
import { randomDocument } from './random-document.js'
import { compareWithSelect } from './row-security.js'
import type { Schema } from './schema.js'
import { createSights, type Sight } from './sights.js'
import { type Claim, type ClaimKind, judge } from './verdict.js'
import { LiveViewer } from './viewer.js'

export interface LiveRunOptions {
  readonly seconds: number
  readonly seed: number
  readonly schema: Schema
  readonly database: StressDatabase
  readonly servers: StressServers
  /** Receives a line of progress. */
  readonly print: (line: string) => void
}

export interface LiveSummary {
  readonly viewers: number
  /** Different documents that viewers have subscribed to. */
  readonly documents: number
  readonly committed: number
  readonly rolledBack: number
  readonly lost: number
  readonly results: number
  readonly connections: number
  /** Results that were compared with fresh queries while the writers rested. */
  readonly compared: number
  /** Results, keep-alives and answers of queries that were compared with the model, each at its position. */
  readonly judged: Readonly<Record<ClaimKind, number>>
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
/** The number of kinds of faults that a run has at least. */
const KINDS = 6
/** The number of complaints that a run that fails prints. */
const ENOUGH = 20

/** One run: rounds of writing, altering and killing, after each of which every live query must show what a query shows. */
export async function runLive({
  seconds,
  seed,
  schema,
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
  let claims: Claim[] = []
  const claim = (one: Claim) => void claims.push(one)
  const sights = await createSights(schema)
  const documents: LiveDocument[] = []
  /** Viewers with the same document share a live query. */
  const draw = (own: Random): LiveDocument => {
    if (documents.length > 0 && own.chance(0.25)) return own.pick(documents)
    const document = randomDocument(schema, own)
    documents.push(document)
    return document
  }
  const viewers = Array.from({ length: VIEWERS }, (_, i) => {
    const name = `viewer ${i + 1}`
    const own = random(name)
    return new LiveViewer({
      name,
      draw: () => draw(own),
      sight: sights[i % sights.length] as Sight,
      servers: servers.all,
      random: own,
      complain,
      claim,
    })
  })
  for (const server of servers.all)
    await within(
      PATIENCE,
      isReady(server, printDocument(draw(random('first')))),
      () => `${server.name} to be ready`,
    )
  const chaos = createChaos({ database, servers, random: random('chaos'), pause: [100, 900] })
  const writers = startWriters({ url: database.writerUrl, scripts: liveWriters(schema), random, complain })
  const alteration = startAltering({
    database,
    choices: alterations(schema).map(sql => [sql]),
    random: random('DDL'),
    complain,
  })
  const running = [
    ...viewers.map(viewer => viewer.run(over.signal)),
    keepAsking({ schema, servers: servers.all, random: random('asker'), sights, claim }, over.signal),
  ]
  let compared = 0
  const judged: Record<ClaimKind, number> = { result: 0, 'keep-alive': 0, query: 0, 'at rest': 0 }
  /** Whether enough has happened for the run to prove something. */
  function hasEnough(): boolean {
    const kinds: readonly ClaimKind[] = ['result', 'keep-alive', 'query']
    const isTold = kinds.every(kind => claims.some(one => one.kind === kind))
    return isTold && chaos.tally.size >= KINDS && alteration.count > 0
  }
  /** Compares what clients have got since the last call with the model. */
  async function judgeClaims(more: readonly Claim[] = []): Promise<void> {
    const made = claims
    claims = []
    const verdict = judge([...made, ...more], await readHistory(database.query, schema), schema)
    for (const kind of verdict.judged) judged[kind]++
    complaints.push(...verdict.complaints)
  }
  const summary = (): LiveSummary => ({
    viewers: viewers.length,
    ...writers.tally,
    results: sum(viewers, ({ results }) => results),
    connections: sum(viewers, ({ connections }) => connections),
    documents: documents.length,
    compared,
    judged,
    alterations: alteration.count,
    kills: Object.fromEntries(chaos.tally),
    complaints,
  })
  try {
    const end = performance.now() + seconds * 1000
    for (let round = 1; ; round++) {
      const ms = Math.max(MIN_ROUND, Math.min(ROUND, end - performance.now()))
      alteration.resume()
      await chaos.rage(ms * 0.5)
      // A machine that is busy with something else needs more time for as much.
      for (const late = performance.now() + PATIENCE; !hasEnough() && performance.now() < late; )
        await chaos.rage(1000)
      writers.lull(true)
      await chaos.rage(ms * 0.25)
      writers.lull(false)
      // Every fault causes reads, which would mend a result that a change should have mended.
      await delay(ms * 0.25)
      await alteration.pause()
      await within(PATIENCE, writers.pause(), () => 'writers to come to an end')
      complaints.push(...(await missingEvents(database.query)))
      await judgeClaims()
      if (complaints.length > 0) break
      compared += await waitUntilCorrect(viewers, servers.all)
      await judgeClaims(viewers.flatMap(claimAtRest))
      complaints.push(...(await compareWithSelect(database, schema, sights)))
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

/** None if the viewer has begun with another document, and has no result yet. */
function claimAtRest({ name, sight, document, latest }: LiveViewer): Claim[] {
  if (!latest) return []
  return [{ kind: 'at rest', by: name, grade: sight.grade, document, position: undefined, data: latest }]
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
        ([{ name, document, latest }, fresh]) =>
          `${name}: ${printDocument(document)}\nshows ${JSON.stringify(latest)}\nnot   ${fresh}`,
      )
      .join('\n')
  const equal = async () => {
    for (let i = 0; wrong.size > 0; i++) {
      for (const viewer of [...wrong.keys()]) {
        const { document, latest, sight } = viewer
        const fresh = await ask(
          servers[i % servers.length] as StressServer,
          printDocument(document),
          sight.token,
        )
        const text = fresh && JSON.stringify(canonicalData(document, fresh))
        if (text && latest && text === JSON.stringify(canonicalData(document, latest))) wrong.delete(viewer)
        else wrong.set(viewer, text ?? 'not answered')
      }
      await delay(50)
    }
  }
  await within(PATIENCE, equal(), () => `results to be right:\n${words()}`)
  return viewers.length
}

async function isReady(server: StressServer, text: string): Promise<void> {
  while ((await ask(server, text)) === undefined) await delay(50)
}

function sum<T>(all: readonly T[], count: (one: T) => number): number {
  return all.reduce((total, one) => total + count(one), 0)
}
