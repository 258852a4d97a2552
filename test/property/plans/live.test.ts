import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import type { LiveQueries } from '../../../src/live/live-contract.js'
import { createLiveQueries } from '../../../src/live/live-queries.js'
import { comparePositions } from '../../../src/log/position.js'
import type { Plan } from '../../../src/plan/plan.js'
import { hasSqlState, SQL_STATE } from '../../../src/postgres/sql-state.js'
import type { Snapshot } from '../../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../../src/snapshots/snapshots.js'
import { PLAIN } from '../../support/cursors.js'
import { createStaged, type Staged } from '../../support/staged.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'
import { anyPlanOf, createPlanTables } from './arbitrary-plans.js'
import { shownRows } from './model.js'
import { transaction } from './random-writes.js'

/*
 * Random live queries under random writers. At rest, each result must equal a fresh read of the same plan.
 */

let watched: WatchedLog
let staged: Staged
let snapshots: Snapshots
let queries: LiveQueries
let tables: Map<string, WatchedTable>

beforeAll(async () => {
  watched = await createWatchedLog()
  tables = await createPlanTables(watched)
  staged = await createStaged(watched)
  staged.tables.switchTo([...tables.values()], true)
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    keepsPrepared: true,
    cursors: PLAIN,
  })
  queries = createLiveQueries({
    snapshots,
    follow: staged.tables.follow,
    position: () => undefined,
    observe: observation =>
      observation.type === 'live.read' || expect.unreachable(JSON.stringify(observation)),
  })
})
afterAll(async () => {
  queries?.close()
  await snapshots?.close()
  await staged?.close()
  await watched?.close()
})

it('the results of live queries equal fresh reads whenever the writers rest', async () => {
  let compared = 0
  let results = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPlanOf(tables), { minLength: 10, maxLength: 10 }),
      fc.array(fc.array(transaction, { minLength: 1, maxLength: 4 }), { minLength: 3, maxLength: 6 }),
      async (plans, rounds) => {
        const open = plans.map(plan => follow(plan, () => results++))
        try {
          for (const round of rounds) {
            await Promise.all(round.map(transaction => write(transaction)))
            await staged.end()
            await waitUntil(() => open.every(one => one.isSettled()), 'the queries to be read')
            for (const { plan, latest } of open) {
              const fresh = await snapshots.read(plan)
              expect(shownRows(plan.root, latest()?.rows ?? [])).toEqual(shownRows(plan.root, fresh.rows))
              compared++
            }
          }
        } finally {
          for (const { stop } of open) stop()
        }
      },
    ),
    { numRuns: 25 },
  )
  expect(results).toBeGreaterThan(compared / 4)
}, 300_000)

async function write(statements: readonly string[]): Promise<void> {
  // Writers that wait for each other in a circle are ended by Postgres, and two of them may insert the same key.
  await watched.log.query(`rollback; begin; ${statements.join('; ')}; commit`).catch(error => {
    if (!hasSqlState(error, SQL_STATE.deadlockDetected, SQL_STATE.uniqueViolation)) throw error
  })
}

function follow(plan: Plan, onResult: () => void) {
  const results: Snapshot[] = []
  const { close } = queries.open(
    { live: queries.prepare(plan, {}), as: {}, every: 0 },
    {
      result(snapshot) {
        const before = results.at(-1)
        if (before) expect(comparePositions(snapshot.position, before.position)).toBeGreaterThan(0)
        results.push(snapshot)
        onResult()
      },
      end: error => expect.unreachable(error.message),
    },
  )
  return {
    plan,
    latest: () => results.at(-1),
    stop: close,
    isSettled: () => results.length > 0 && queries.isSettled(),
  }
}
