// Checks any number of viewers and images in batches, and repeats those that failed until every viewer has a verdict. Batches of
// several tables take turns, and slow ones leave a connection to the others.
import type pg from 'pg'
import { tableTitle, type WatchedTable } from '../../catalog/watched-table.js'
import type { RowImage } from '../../filters/index.js'
import { delay } from '../../lib/abort.js'
import { backoffDelay } from '../../lib/backoff.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Observe } from '../../lib/observation.js'
import type { Turns } from '../../lib/turns.js'
import { describeFailure } from '../../postgres/connect-failure.js'
import { lockedTooLong } from '../access-errors.js'
import { LockedOut, SourcesRewritten, StatementsLost } from '../policy-transaction.js'
import type { SlowViewers } from '../slow-viewers.js'
import type { Visibility } from '../visibility.js'
import { createBatchSizes, FIRST_BATCH_VIEWERS, MAX_BATCH_VIEWERS, quickBudget } from './batch-limits.js'
import type { BatchMemory } from './batch-memory.js'
import type { BatchViewer } from './batch-plan.js'
import { withPolicyConnection } from './policy-connection.js'
import { runBatch } from './run-batch.js'

export interface BatchSchedulerOptions {
  readonly pool: pg.Pool
  /** Of the connections, by the oid of the table. */
  readonly turns: Turns
  /** Names the database in messages. */
  readonly config: pg.ClientConfig
  /** Connections of the pool. */
  readonly connections: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  /** Longest time that the policies may take for one viewer and 500 images, in ms. */
  readonly policyTimeout: number
  readonly memory: BatchMemory
  readonly slowViewers: Pick<SlowViewers, 'took'>
  readonly observe: Observe
}

export interface VisibilityCheck {
  readonly table: WatchedTable
  readonly images: readonly RowImage[]
  readonly signal: AbortSignal
  /**
   * Receives the keys of viewers whose policies are slow or wait for a lock, and which get no verdict. Undefined: the check waits for
   * all viewers.
   */
  readonly tooSlow: Set<string> | undefined
}

/**
 * Checks the viewers, each once and those of one role adjacent, by their keys. Waits while the database is down, until the signal
 * aborts; then it rejects with the signal's reason.
 */
export type CheckInBatches = (
  check: VisibilityCheck,
  viewers: readonly BatchViewer[],
) => Promise<Map<string, Visibility>>

/** Most images in one batch. */
const MAX_IMAGES = 500

/** How long a viewer waits for locks, in ms, before it gets an error. */
const LOCK_PATIENCE_MS = 30_000

const LOCK_PAUSE_MS = 100

export function createBatchScheduler(options: BatchSchedulerOptions): CheckInBatches {
  const { pool, turns, config, connections, reconnectMax, policyTimeout, memory, slowViewers, observe } =
    options
  const sizes = createBatchSizes()

  /**
   * Runs one batch of the viewers that have no verdict yet.
   * @param isAgain the last batch gave no verdict, perhaps because of one of its viewers
   * @param verdicts is filled as results arrive
   */
  async function runNext(
    { table, images, tooSlow }: VisibilityCheck,
    waiting: readonly BatchViewer[],
    isAgain: boolean,
    verdicts: Map<string, Visibility>,
  ): Promise<void> {
    const { relid } = table
    const viewers = tooSlow ? waiting.slice(0, isAgain ? 1 : sizes.of(relid)) : waiting
    const batch = {
      table,
      viewers,
      images,
      budget: tooSlow ? Math.min(policyTimeout, quickBudget(tooSlow.size)) : policyTimeout,
      toPrepare: policyTimeout * 4,
      onSlow: tooSlow && ((key: string) => void tooSlow.add(key)),
    }
    const began = performance.now()
    await withPolicyConnection(pool, memory, client => runBatch(client, batch, memory, verdicts))
    const took = performance.now() - began
    observe({ type: 'policies.checked', table: tableTitle(table), took })
    if (!tooSlow) for (const { key } of viewers) slowViewers.took(relid, key, took)
    else if (viewers.every(({ key }) => verdicts.has(key))) sizes.took(relid, viewers.length, took)
  }

  /** Repeats until all viewers have a verdict, or are found too slow. */
  async function checkAll(
    check: VisibilityCheck,
    viewers: readonly BatchViewer[],
  ): Promise<Map<string, Visibility>> {
    const { table, signal, tooSlow } = check
    const verdicts = new Map<string, Visibility>()
    const began = performance.now()
    for (let attempt = 0; ; ) {
      const waiting = viewers.filter(({ key }) => !verdicts.has(key) && !tooSlow?.has(key))
      if (waiting.length === 0) return verdicts
      signal.throwIfAborted()
      const before = verdicts.size + (tooSlow?.size ?? 0)
      try {
        await turns.run(table.relid, !tooSlow, async () => {
          if (signal.aborted) return // it waited for its turn
          await runNext(check, waiting, attempt > 0, verdicts)
        })
        attempt = 0
      } catch (error) {
        signal.throwIfAborted()
        attempt = verdicts.size + (tooSlow?.size ?? 0) > before ? 1 : attempt + 1
        if (error instanceof SourcesRewritten) continue
        if (error instanceof StatementsLost && attempt === 1) continue
        const left = waiting.filter(({ key }) => !verdicts.has(key))
        if (!(error instanceof LockedOut)) {
          const retryIn = backoffDelay(attempt, reconnectMax)
          observe({ type: 'policies.lost', ...describeFailure(error, config), retryIn })
          await delay(retryIn, signal)
        } else if (tooSlow) for (const { key } of left) tooSlow.add(key)
        else if (performance.now() - began < LOCK_PATIENCE_MS) await delay(LOCK_PAUSE_MS, signal)
        else for (const { key } of left) verdicts.set(key, lockedTooLong(table, error))
      }
    }
  }

  /** Several batches at the same time, one for each connection if there are that many viewers. */
  async function checkSlice(
    check: VisibilityCheck,
    viewers: readonly BatchViewer[],
  ): Promise<Map<string, Visibility>> {
    const share = Math.ceil(viewers.length / connections)
    const size = Math.min(MAX_BATCH_VIEWERS, Math.max(FIRST_BATCH_VIEWERS, share))
    const all = await Promise.all(chunks(viewers, size).map(some => checkAll(check, some)))
    return new Map(all.flatMap(verdicts => [...verdicts]))
  }

  function observeFailures(
    table: WatchedTable,
    viewers: readonly BatchViewer[],
    verdicts: ReadonlyMap<string, Visibility>,
  ): void {
    for (const { key, role } of viewers) {
      const verdict = verdicts.get(key)
      if (!(verdict instanceof ListenqlError) || verdict.cause === undefined) continue
      observe({ type: 'policy.failed', table: tableTitle(table), role, message: messageOf(verdict.cause) })
    }
  }

  return async (check, viewers) => {
    const { table, images, tooSlow } = check
    let waiting = viewers
    const verdicts = new Map<string, Visibility>()
    for (const slice of images.length === 0 ? [[]] : chunks(images, MAX_IMAGES)) {
      for (const [key, verdict] of await checkSlice({ ...check, images: slice }, waiting)) {
        const before = verdicts.get(key)
        if (verdict instanceof ListenqlError || before === undefined) verdicts.set(key, verdict)
        else verdicts.set(key, [...(before as readonly boolean[]), ...verdict])
      }
      waiting = waiting.filter(
        ({ key }) => !(verdicts.get(key) instanceof ListenqlError) && !tooSlow?.has(key),
      )
    }
    for (const key of tooSlow ?? []) verdicts.delete(key)
    observeFailures(table, viewers, verdicts)
    return verdicts
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const all: T[][] = []
  for (let at = 0; at < items.length; at += size) all.push(items.slice(at, at + size))
  return all
}
