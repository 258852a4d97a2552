import fc from 'fast-check'
import { expect } from 'vitest'
import type { LiveIndex } from '../../../src/live/live-index.js'
import type { createLivePlan } from '../../../src/live/live-plan.js'
import type { LiveQuery } from '../../../src/live/live-query.js'
import type { Plan } from '../../../src/plan/plan.js'
import type { Snapshot } from '../../../src/snapshots/snapshot-request.js'
import { createSnapshots } from '../../../src/snapshots/snapshots.js'
import { PLAIN } from '../../support/cursors.js'
import { createStaged } from '../../support/staged.js'
import { createWatchedLog } from '../../support/watched-log.js'
import { anyPlanOf, createPlanTables, describePlan, PLAN_ROWS } from './arbitrary-plans.js'
import { shownRows } from './model.js'
import { transaction } from './random-writes.js'

/** The rules of live queries: which results rest on what, and what a change touches. */
export interface Rules {
  readonly LiveIndex: new () => LiveIndex
  readonly LiveQuery: new (live: ReturnType<typeof createLivePlan>) => LiveQuery
  readonly createLivePlan: typeof createLivePlan
}

export interface LiveChecker {
  /** Runs random scripts until a result is stale that should hold. The same seed gives the same scripts. */
  check(rules: Rules, options: { readonly runs: number; readonly seed?: number }): Promise<Outcome>
  close(): Promise<void>
}

export interface Outcome {
  /** How many results were compared that held though transactions had been committed since they were read. */
  readonly compared: number
  /** How many results were read because a change touched them, and how many of them were the same as before. */
  readonly reads: number
  readonly needless: number
  /** The first result that was stale though it should hold, with the script. Undefined: there is none. */
  readonly stale: string | undefined
}

/** A transaction, and which of the stale queries begin to be read before it and finish after it. */
interface Step {
  readonly statements: readonly string[]
  readonly begins: number
  readonly finishes: number
}

interface Follower {
  readonly plan: Plan
  readonly query: LiveQuery
  latest: Snapshot | undefined
  /** The result of a read that has not finished. */
  reading: Snapshot | undefined
}

class StaleResult extends Error {}

const PLANS = 8

/**
 * Applies rules to the changes of a real log, step by step, without timers, so that a script always has the same outcome. A read shows the
 * moment at which it begins, and may finish after later transactions. After each transaction, the result of every query that the rules
 * do not call stale must equal a fresh read: at every position of the log, not only at rest.
 */
export async function createLiveChecker(): Promise<LiveChecker> {
  const watched = await createWatchedLog()
  const tables = await createPlanTables(watched)
  const staged = await createStaged(watched)
  staged.tables.switchTo([...tables.values()], true)
  const snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    keepsPrepared: true,
    cursors: PLAIN,
  })

  async function play(
    rules: Rules,
    plans: readonly Plan[],
    steps: readonly Step[],
    tally: Tally,
  ): Promise<void> {
    await watched.log.query(PLAN_ROWS)
    const index = new rules.LiveIndex()
    const followers = plans.map((plan): Follower => {
      const keyOf = (relid: string) => plan.tables.get(relid)?.key ?? []
      const query = new rules.LiveQuery(rules.createLivePlan(plan, keyOf))
      index.add(query)
      return { plan, query, latest: undefined, reading: undefined }
    })
    const stops = [...tables.values()].map(({ relid }) =>
      staged.tables.follow(relid, {
        change: change => index.visit(change, query => void query.take(change)),
        lost: () => expect.unreachable('the history has ended'),
      }),
    )

    async function begin(some: readonly Follower[]): Promise<void> {
      for (const { query } of some) {
        query.begin()
        index.reads(query)
      }
      await Promise.all(
        some.map(async follower => {
          follower.reading = await snapshots.read(follower.query.live.plan, {}, undefined, 1)
        }),
      )
    }

    function finish(some: readonly Follower[]): void {
      for (const follower of some) {
        const { query, reading, latest } = follower
        if (!reading) continue
        const { isNew } = query.conclude(reading.rows, reading.position)
        index.link(query)
        if (latest) {
          tally.reads++
          if (!isNew) tally.needless++
        }
        follower.latest = reading
        follower.reading = undefined
      }
    }

    try {
      for (const { statements, begins, finishes } of steps) {
        await begin(followers.filter(({ query }, i) => query.isStale && !query.isReading && has(begins, i)))
        await watched.log.query(`begin; ${statements.join('; ')}; commit`)
        await staged.end()
        finish(followers.filter((_, i) => has(finishes, i)))
        await compare(
          followers.filter(({ query, latest }) => latest && !query.isStale && !query.isReading),
          tally,
        )
      }
      finish(followers)
      await compare(
        followers.filter(({ query }) => !query.isStale),
        tally,
      )
    } finally {
      for (const stop of stops) stop()
    }
  }

  async function compare(holding: readonly Follower[], tally: Tally): Promise<void> {
    const fresh = await Promise.all(holding.map(({ plan }) => snapshots.read(plan)))
    for (const [i, { plan, latest }] of holding.entries()) {
      tally.compared++
      const is = JSON.stringify(shownRows(plan.root, latest?.rows ?? []))
      const should = JSON.stringify(shownRows(plan.root, fresh[i]?.rows ?? []))
      if (is !== should) throw new StaleResult(`${describePlan(plan)}\nshows ${is}\nnot   ${should}`)
    }
  }

  return {
    async check(rules, { runs, seed }) {
      const tally: Tally = { compared: 0, reads: 0, needless: 0 }
      const subset = fc.nat(2 ** PLANS - 1)
      const script = fc.array(
        fc.record({
          statements: transaction,
          begins: fc.oneof(fc.constant(2 ** PLANS - 1), subset),
          finishes: subset,
        }),
        { minLength: 8, maxLength: 8 },
      )
      const details = await fc.check(
        fc.asyncProperty(
          fc.array(anyPlanOf(tables), { minLength: PLANS, maxLength: PLANS }),
          script,
          (plans, steps) => play(rules, plans, steps, tally),
        ),
        { numRuns: runs, endOnFailure: true, ...(seed !== undefined && { seed }) },
      )
      const { failed, errorInstance, counterexample } = details
      if (!failed) return { ...tally, stale: undefined }
      if (!(errorInstance instanceof StaleResult)) throw errorInstance
      const steps = counterexample?.[1].map(({ statements }) => statements.join('; ')).join('\n')
      return { ...tally, stale: `seed ${details.seed}: ${errorInstance.message}\nafter\n${steps}` }
    },
    async close() {
      await snapshots.close()
      await staged.close()
      await watched.close()
    },
  }
}

interface Tally {
  compared: number
  reads: number
  needless: number
}

function has(subset: number, i: number): boolean {
  return (subset & (1 << i)) !== 0
}
