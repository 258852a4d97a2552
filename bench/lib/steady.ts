import type { GroupState } from './client-child.js'
import { pause } from './clock.js'
import { between, MAIN, read, type Span, type Trial } from './trial.js'
import { paced } from './writer.js'

export interface SteadyOptions {
  /** Events a second. */
  readonly rate: number
  readonly seconds: number
  readonly write: () => Promise<unknown>
  /** Commits so far, of which the database may manage fewer than it is asked for. */
  readonly committed: () => number
  /** What a subscriber is delivered of the events: 1 is all, 1/N where each event is for one of N. Default: 1 */
  readonly share?: number
  /** Measured is what comes this long after the writing has begun, in seconds: a server that cannot keep up has its backlog then. */
  readonly lead?: number
  readonly profile?: string | undefined
}

export interface SteadyResult extends Span {
  /** What was delivered of what should have been, 0 to 1. */
  readonly kept: number
  /** Commits a second. */
  readonly commits: number
}

/** Deliveries before anything is measured, so that all code has been compiled. */
const WARM_UP = 20_000

/** Waits until each subscriber has had an event: not every protocol says when it is accepted. @throws after 30 s */
export async function untilAllHear(trial: Trial, write: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt++) {
    await write()
    const { isAll } = await trial.client.call('reach', { group: MAIN, events: 1, timeout: 500 })
    if (isAll) return
  }
  throw new Error('some subscribers received nothing for 30 s')
}

/** Runs warm, waits until all is delivered, and measures at a steady rate. */
export async function measureSteady(trial: Trial, options: SteadyOptions): Promise<SteadyResult> {
  const { rate, seconds, write, committed, share = 1, lead = 0, profile } = options
  const { connections, leastCount } = await settle(trial)
  const warm = Math.min(1000, Math.ceil(WARM_UP / connections / share))
  for (let i = 0; i < warm; i += 20) await Promise.all(Array.from({ length: Math.min(20, warm - i) }, write))
  if (share === 1) {
    await trial.client.call('reach', { group: MAIN, events: leastCount + warm, timeout: 20_000 })
  }
  await settle(trial)
  if (profile) await trial.server.call('startProfile', null)
  const leading = lead > 0 ? await paced(rate, lead, write) : 0
  if (leading === 0) await pause(50)
  await trial.client.call('mark', MAIN)
  const start = await read(trial)
  const before = committed()
  const writing = paced(rate, seconds, write)
  writing.catch(() => undefined) // seen below
  if (lead > 0) await pause(seconds * 1000)
  else await writing
  const sent = committed() - before
  const expected = sent * connections * share
  // The last one is still under way. Whoever is behind by more is measured as it is.
  for (let i = 0; i < 10 && lead === 0; i++) {
    const { count } = await trial.client.call('state', MAIN)
    if (count - start.client.count >= expected) break
    await pause(25)
  }
  const end = await read(trial)
  if (profile) await trial.server.call('stopProfile', profile)
  const span = between(start, end)
  // With a lead, events are under way at both ends.
  const commits = sent / ((end.client.at - start.client.at) / 1e6)
  const kept = lead > 0 ? span.perSecond / (commits * connections * share) : span.delivered / expected
  await writing
  return { ...span, kept, commits }
}

/** Waits until nothing comes any more, 15 s at most. */
export async function settle(trial: Trial): Promise<GroupState> {
  let state = await trial.client.call('state', MAIN)
  for (let i = 0; i < 30; i++) {
    await pause(500)
    const before = state.count
    state = await trial.client.call('state', MAIN)
    if (state.count === before) break
  }
  return state
}
