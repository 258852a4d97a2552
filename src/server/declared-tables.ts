import type pg from 'pg'
import { messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { parseTablePattern } from '../lib/patterns/table-pattern.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { openConnection } from '../postgres/connection.js'
import { RELAX_SESSION } from '../postgres/text-encoding.js'
import type { Problem } from './lacking-rights.js'
import { type Reconciled, reconcileTables, unwatchOthers } from './reconcile-tables.js'

export interface DeclaredTablesOptions {
  /** The patterns of `--tables`, at least one. */
  readonly tables: readonly string[]
  readonly unwatchOthers: boolean
  /** Connects as the login that watches. */
  readonly config: pg.ClientConfig
  /** The server's login, if that is another one. */
  readonly grantTo: string | undefined
  /** Whether the server starts, so that its first schema waits for the tables. */
  readonly isStart: boolean
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Tables have been watched since the last check. */
  readonly onWatched: () => void
  readonly observe: Observe
}

/** Watches the tables that the configuration declares: at the start, and when tables are created later. */
export interface DeclaredTables {
  /**
   * To be called in each check of the catalogue, before it reads the watched tables. When the server starts, it waits until the tables
   * have been compared for the first time; later it works in the background, so that a table in use does not delay the checks.
   * @param pulse changes when a table may have been created (see `readCatalogState`)
   * @returns whether other tables are watched now
   */
  check(pulse: string | undefined): Promise<boolean>
  /** Idempotent. */
  close(): Promise<void>
}

/** Longest that one statement may take, in ms; nothing else reveals a dead peer. */
const QUERY_TIMEOUT_MS = 60_000

/** First pause before another attempt at what failed, and the longest one, in ms; each pause is twice the one before. */
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 60_000

export function createDeclaredTables(options: DeclaredTablesOptions): DeclaredTables {
  const { config, grantTo, connectTimeout, onWatched, observe } = options
  const patterns = options.tables.map(parseTablePattern)
  const stop = new AbortController()
  const reported = new Set<string>()
  let lastPulse: string | undefined
  let isCompared = false
  let running: Promise<boolean> | undefined
  /** When to try again what failed (`performance.now()`); undefined: nothing is left to do. */
  let retryAt: number | undefined
  let retryIn = FIRST_RETRY_MS

  function report({ tables, message, hint }: Problem): void {
    // A message about a lock says for how long it has been held, so that each would look new.
    const key = `${tables.join()} ${message.replace(/ for [\d.]+ s/g, '')}`
    if (reported.has(key)) return
    reported.add(key)
    observe({ type: 'tables.unwatchable', tables, message, hint })
  }

  async function run(): Promise<boolean> {
    let isDone = false
    let hasWatched = false
    try {
      const connection = await openConnection({
        config: { ...config, application_name: 'listenql tables' },
        connectTimeout,
        queryTimeout: QUERY_TIMEOUT_MS,
        signal: stop.signal,
      })
      try {
        const { client } = connection
        await client.query(RELAX_SESSION)
        const result = await reconcileTables(client, {
          patterns,
          isFirst: !isCompared,
          config,
          grantTo,
          observe,
          report,
        })
        if (result) {
          isDone = result.isDone
          hasWatched = result.watched.length > 0
          if (hasWatched) observe({ type: 'tables.watched', tables: result.watched })
          if (!isCompared) hasWatched = (await compared(client, result)) || hasWatched
          isCompared = true
        }
      } finally {
        await connection.close()
      }
    } catch (error) {
      if (stop.signal.aborted) return false
      const { message, hint } = describeFailure(error, config)
      report({ tables: options.tables, message: message || messageOf(error), hint })
    }
    retryAt = isDone ? undefined : performance.now() + retryIn
    retryIn = isDone ? FIRST_RETRY_MS : Math.min(2 * retryIn, LONGEST_RETRY_MS)
    return hasWatched
  }

  /** Runs once, after the first comparison: reports or unwatches tables that are not declared. @returns whether one is no longer watched */
  async function compared(client: pg.Client, { others, unmatched }: Reconciled): Promise<boolean> {
    if (unmatched.length > 0) observe({ type: 'tables.unmatched', patterns: unmatched })
    if (others.length === 0) return false
    if (!options.unwatchOthers) {
      observe({ type: 'tables.undeclared', tables: others.map(({ shown }) => shown) })
      return false
    }
    const tables = await unwatchOthers(client, others, { config, report })
    if (tables.length > 0) observe({ type: 'tables.unwatched', tables })
    return tables.length > 0
  }

  return {
    async check(pulse) {
      const isRetry = retryAt !== undefined && performance.now() >= retryAt
      const hasChanged = isCompared ? pulse !== lastPulse : retryAt === undefined
      if (stop.signal.aborted || running || !(isRetry || hasChanged)) return false
      if (hasChanged) retryIn = FIRST_RETRY_MS
      lastPulse = pulse
      const isFirst = !isCompared
      running = run().finally(() => {
        running = undefined
      })
      if (isFirst && options.isStart) return running
      void running.then(hasWatched => {
        if (hasWatched && !stop.signal.aborted) onWatched()
      })
      return false
    },
    async close() {
      stop.abort()
      await running
    },
  }
}
