import type { GroupState } from './client-child.js'
import { pause } from './clock.js'
import { between, MAIN, read, type Span, type Trial } from './trial.js'
import { paced } from './writer.js'

export interface SteadyOptions {
  /** Events per second. */
  readonly rate: number
  readonly seconds: number
  readonly write: () => Promise<unknown>
  /** Number of commits so far; the database may not reach the requested rate. */
  readonly committed: () => number
  /** The share of the events that one subscriber receives: 1 is all, 1/N if each event is for one of N. Default: 1 */
  readonly share?: number
  /** Measuring begins this long after the writing, in seconds: a server that cannot keep up has a backlog by then. */
  readonly lead?: number
  readonly profile?: string | undefined
}

export interface SteadyResult extends Span {
  /** The share of the expected events that was delivered, 0 to 1. */
  readonly kept: number
  /** Commits per second. */
  readonly commits: number
}

/** Deliveries before measuring begins, so that V8 has compiled the code. */
const WARM_UP = 20_000

/** Waits until each subscriber has received an event, because not every protocol announces acceptance. @throws after 30 s */
export async function untilAllHear(trial: Trial, write: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt++) {
    await write()
    const { isAll } = await trial.client.call('reach', { group: MAIN, events: 1, timeout: 500 })
    if (isAll) return
  }
  throw new Error('some subscribers received nothing for 30 s')
}

/** Warms up, waits until everything is delivered, and measures at a steady rate. */
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
  writing.catch(() => undefined) // handled below
  if (lead > 0) await pause(seconds * 1000)
  else await writing
  const sent = committed() - before
  const expected = sent * connections * share
  // The last event may still be on its way. A server that lags further is measured with its backlog.
  for (let i = 0; i < 10 && lead === 0; i++) {
    const { count } = await trial.client.call('state', MAIN)
    if (count - start.client.count >= expected) break
    await pause(25)
  }
  const end = await read(trial)
  if (profile) await trial.server.call('stopProfile', profile)
  const span = between(start, end)
  // With a lead, events are in flight at the beginning and at the end.
  const commits = sent / ((end.client.at - start.client.at) / 1e6)
  const kept = lead > 0 ? span.perSecond / (commits * connections * share) : span.delivered / expected
  await writing
  return { ...span, kept, commits }
}

/** Waits until no more events arrive, 15 s at most. */
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
