import { createStopController } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Observe } from '../lib/observation.js'
import { createSlices } from '../lib/slices.js'
import type { Stop } from '../lib/stop.js'
import { comparePositions, type Position } from '../log/position.js'
import { rootTable } from '../plan/plan.js'
import type { CheckVisibility } from '../rls/visibility.js'
import type { Snapshot } from '../snapshots/snapshot-request.js'
import type { Snapshots } from '../snapshots/snapshots.js'
import { type ChangeListener, createFollowedTables } from './followed-tables.js'
import type { LiveQueries, LiveRequest, ResultListener } from './live-contract.js'
import { LiveIndex } from './live-index.js'
import { createLivePlan } from './live-plan.js'
import type { PolicySource } from './live-policies.js'
import { type LiveChange, LiveQuery } from './live-query.js'
import { createReadPace, intervalOf } from './read-pace.js'
import { pauseAfter } from './read-retry.js'
import { type ChangedRow, createRowDecisions } from './row-decisions.js'
import { SharedNodes } from './shared-nodes.js'

export interface LiveQueriesOptions {
  readonly snapshots: Pick<Snapshots, 'read'>
  readonly follow: (relid: string, listener: ChangeListener) => Stop
  /** The position up to which `follow` has delivered all changes. Undefined: the log is not followed. */
  readonly position: () => Position | undefined
  /** Most queries that are open at the same time. Default: 10,000. */
  readonly maxQueries?: () => number
  /** Decides which rows viewers see. Default: queries of viewers are read after each change that may concern them. */
  readonly checkVisibility?: CheckVisibility | undefined
  /**
   * Fewest queries for which the policies are asked whether their viewers see a changed row. Fewer are read at once, which costs a
   * little more at most, and saves the time until the answer. Default: 4.
   */
  readonly minAsked?: number
  readonly observe: Observe
}

interface Entry {
  readonly query: LiveQuery
  readonly request: LiveRequest
  readonly listener: ResultListener
  /** Ends the read that is in progress. Costly per query: it is there only meanwhile. */
  reading: AbortController | undefined
  isClosed: boolean
  unfollow: Stop
  /** When the last read began (`performance.now()`), and how long it took, in ms. */
  readAt: number
  duration: number
  readonly cost: { reads: number; ms: number; rows: number }
  failures: number
  /** Whether a read will begin, and the timer until it may. */
  isDue: boolean
  timer: NodeJS.Timeout | undefined
}

type DecidableChange = LiveChange & ChangedRow

function isDecidable(change: LiveChange): change is DecidableChange {
  return change.table !== undefined && change.images !== undefined
}

export function createLiveQueries(options: LiveQueriesOptions): LiveQueries {
  const { snapshots, follow, position, checkVisibility, minAsked = 4, observe } = options
  const index = new LiveIndex()
  const sharedNodes = new SharedNodes()
  const pace = createReadPace()
  /** Many results may arrive in one message. */
  const inSlices = createSlices()
  const entries = new Map<LiveQuery, Entry>()
  const stop = createStopController()
  const decisions =
    checkVisibility &&
    createRowDecisions<Entry, DecidableChange>({
      checkVisibility,
      // A query that will be read anyway needs no decision.
      viewerOf: ({ query, request, isClosed }) =>
        isClosed || (query.isStale && !query.isReading) ? undefined : request.as.viewer,
      decided(entry, change, isVisible) {
        if (!entry.isClosed && entry.query.decide(change, isVisible) === 'stale') schedule(entry.query)
      },
      signal: stop.signal,
    })
  const { retain, release } = createFollowedTables(follow, {
    change(change) {
      const undecided: LiveQuery[] = []
      try {
        index.visit(change, query => {
          const effect = query.take(change)
          if (effect === 'stale') schedule(query)
          else if (effect === 'hidden?') undecided.push(query)
        })
      } finally {
        if (undecided.length > 0) decide(change, undecided)
      }
    },
    lost(relid) {
      index.each(relid, query => {
        query.forget()
        schedule(query)
      })
    },
  })

  /** Reads each query whose viewer sees the row before or after the change; the policies decide, if there are enough queries. */
  function decide(change: LiveChange, queries: readonly LiveQuery[], wasKept = false): void {
    // A query that was read at once for each change that came during its last read would be read without an end.
    if (decisions && isDecidable(change) && (wasKept || queries.length >= minAsked)) {
      const isSeenAlike = queries.every(query => query.isSeenAlike(change))
      decisions.ask(
        change,
        isSeenAlike,
        queries.flatMap(query => entries.get(query) ?? []),
      )
      return
    }
    for (const query of queries) if (query.decide(change, true) === 'stale') schedule(query)
  }

  /** Reads the query at once, or when its pace allows it. */
  function schedule(query: LiveQuery, pause = 0): void {
    const entry = entries.get(query)
    if (!entry || entry.isDue || query.isReading || !query.isStale) return
    entry.isDue = true
    entry.timer = pace.begin(entry, entry.request.every, pause, () => read(entry))
  }

  async function read(entry: Entry): Promise<void> {
    const { query, request } = entry
    if (entry.isClosed) return
    const reading = new AbortController()
    entry.reading = reading
    entry.isDue = false
    query.begin()
    index.reads(query)
    entry.readAt = performance.now()
    try {
      const expected = query.position ? entry.duration : undefined
      const snapshot = await snapshots
        .read(query.live.plan, request.as, reading.signal, expected)
        .finally(() => {
          entry.reading = undefined
        })
      await new Promise<void>((resolve, reject) => {
        inSlices(() => {
          try {
            conclude(entry, snapshot)
            resolve()
          } catch (error) {
            reject(error)
          }
        })
      })
    } catch (error) {
      if (entry.isClosed) return
      query.fail()
      index.link(query)
      retry(entry, error)
    }
  }

  function conclude(entry: Entry, snapshot: Snapshot): void {
    const { query, request, listener } = entry
    if (entry.isClosed) return
    entry.duration = snapshot.duration
    entry.failures = 0
    const { isNew, undecided } = query.conclude(snapshot.rows, snapshot.position)
    index.link(query)
    const { digest = '' } = query.dependencies ?? {}
    entry.cost.reads++
    entry.cost.ms += snapshot.duration
    entry.cost.rows = snapshot.rows.length
    observe({ type: 'live.read', isNew })
    if (isNew) listener.result({ ...snapshot, interval: intervalOf(entry, request.every), digest })
    if (entry.isClosed) return
    for (const change of undecided) decide(change, [query], true)
    schedule(query)
  }

  function retry(entry: Entry, error: unknown): void {
    const pause = pauseAfter(error, ++entry.failures)
    if (pause !== undefined) return schedule(entry.query, pause)
    const isKnown = error instanceof ListenqlError
    if (!isKnown)
      observe({ type: 'fault', id: 'live query', message: 'a live query could not be read', error })
    close(entry)
    entry.listener.end(
      isKnown ? error : new ListenqlError('DATABASE_FAILED', 'the query could not be read', { cause: error }),
    )
  }

  /** The policies, or what they show, may have changed. */
  function govern({ query }: Entry, policies: PolicySource): void {
    const before = query.relids
    index.remove(query)
    query.govern(policies.now)
    for (const relid of query.relids) retain(relid)
    for (const relid of before) release(relid)
    index.add(query)
    if (query.isReading) index.reads(query)
    else index.link(query)
    schedule(query)
  }

  function close(entry: Entry): void {
    const { query, timer, reading, unfollow } = entry
    if (!entries.delete(query)) return
    entry.isClosed = true
    unfollow()
    clearTimeout(timer)
    reading?.abort()
    index.remove(query)
    for (const relid of query.relids) release(relid)
  }

  return {
    prepare(plan, as) {
      const keyOf = (relid: string) => as.keys?.get(relid) ?? plan.tables.get(relid)?.key ?? []
      return createLivePlan(plan, keyOf, sharedNodes)
    },
    open(request, listener) {
      const { live, policies } = request
      const maxQueries = options.maxQueries?.() ?? 10_000
      if (entries.size >= maxQueries)
        throw new LimitExceeded(
          'maxLiveQueries',
          maxQueries,
          `the server has ${maxQueries} different live queries already`,
        )
      const query = new LiveQuery(live, policies?.now)
      const entry: Entry = {
        query,
        request,
        listener,
        reading: undefined,
        isClosed: false,
        unfollow: () => undefined,
        readAt: Number.NEGATIVE_INFINITY,
        duration: 0,
        cost: { reads: 0, ms: 0, rows: 0 },
        failures: 0,
        isDue: false,
        timer: undefined,
      }
      entries.set(query, entry)
      for (const relid of query.relids) retain(relid)
      index.add(query)
      if (policies) entry.unfollow = policies.follow(() => govern(entry, policies))
      schedule(query)
      return {
        get holdsAt() {
          return holdsAt(query, position())
        },
        close: () => close(entry),
      }
    },
    get size() {
      return entries.size
    },
    costliest(most) {
      return [...entries.values()]
        .sort((a, b) => b.cost.ms - a.cost.ms)
        .slice(0, most)
        .map(({ query, request, cost, duration }) => ({
          table: rootTable(query.live.plan),
          ...cost,
          lastMs: duration,
          every: request.every,
        }))
    },
    isSettled: () =>
      [...entries.keys()].every(query => !query.isStale && !query.isReading && !query.isUndecided),
    close() {
      stop.abort()
      pace.close()
      for (const entry of [...entries.values()]) close(entry)
    },
  }
}

/** @param reached up to which the query has got all changes */
function holdsAt(query: LiveQuery, reached: Position | undefined): Position | undefined {
  if (query.isStale || query.isReading || query.isUndecided || !query.position) return undefined
  return reached && comparePositions(reached, query.position) > 0 ? reached : query.position
}
