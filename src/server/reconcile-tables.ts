import type pg from 'pg'
import { type Relation, readRelations, readWatched, type WatchedRelation } from '../catalog/relations.js'
import { beginHistories, readStates, unwatchTable, watchTable } from '../catalog/watch.js'
import { planWatch } from '../catalog/watch-plan.js'
import { readWatchRights } from '../catalog/watch-rights.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import type { TablePattern } from '../lib/patterns/table-pattern.js'
import { grantReadSql, grantSql } from '../log/install.js'
import { migrate } from '../log/migrations.js'
import { inTransaction } from '../postgres/lock-retry.js'
import { isStatementError } from '../postgres/sql-state.js'
import { type Problem, reportLackingRights, shellWord } from './lacking-rights.js'

export interface ReconcileOptions {
  readonly patterns: readonly TablePattern[]
  /** The server has just started, and its first schema waits for this. */
  readonly isFirst: boolean
  /** The connection's own, for finding sessions that hold a lock. */
  readonly config: pg.ClientConfig
  /** The server's login, if the connection has another one: it gets SELECT on the tables. */
  readonly grantTo: string | undefined
  readonly observe: Observe
  /** Takes tables that cannot be watched; it reports a problem once, however often it is found. */
  readonly report: (problem: Problem) => void
}

export interface Reconciled {
  /** Tables that are watched now and were not, as SQL. */
  readonly watched: readonly string[]
  /** Every table that the patterns select is watched, or cannot be. */
  readonly isDone: boolean
  /** Watched tables that the patterns do not select. */
  readonly others: readonly WatchedRelation[]
  /** Patterns that match no table. */
  readonly unmatched: readonly string[]
}

/** Longest wait for the lock of one table, in ms: the schema, and all clients of a server that starts, wait for it. */
const LOCK_PATIENCE_MS = 1000

/** Longest wait for the lock of a table that is no longer to be watched, in ms; after it, the triggers stay and do nothing. */
const UNWATCH_PATIENCE_MS = 5000

/** From this number of tables on, the log has a line before the server begins to watch them. */
const MANY_TABLES = 20

/**
 * Watches the tables that the patterns select and that are not watched yet; installs schema `listenql` for the first of them. It does
 * not upgrade the schema, since servers of an older version may be running. Several servers may do this at once: watching a table
 * again changes nothing.
 * @returns undefined if the database does not show which tables are watched
 * @throws the error of a connection that is lost
 */
export async function reconcileTables(
  client: pg.Client,
  options: ReconcileOptions,
): Promise<Reconciled | undefined> {
  const { patterns, isFirst, grantTo, observe, report } = options
  const rights = await readWatchRights(client)
  // Where the login may not read which tables are watched, and on a standby, the catalogue reports that.
  if (rights.isStandby || (rights.isInstalled && !rights.mayRead)) return undefined
  const relations = await readRelations(client)
  const watched = await readWatched(client)
  const { toWatch, skipped, others, unmatched } = planWatch(patterns, relations, watched)
  const result = { others, unmatched: unmatched.filter(one => !one.isNegated).map(({ text }) => text) }

  for (const { relation, reason, pattern, lacksRight } of skipped) {
    // What a pattern with globs includes besides tables is no mistake.
    if (pattern.isName && !lacksRight) report({ tables: [relation.shown], message: `it ${reason}` })
  }
  const known = new Set(watched.map(({ relid }) => relid))
  const fresh = toWatch.filter(({ relid }) => !known.has(relid))
  const isLacking = reportLackingRights(rights, fresh, skipped, report)
  const done: string[] = []
  let isDone = !isLacking && !skipped.some(({ lacksRight }) => lacksRight)
  if (fresh.length > 0 && !isLacking) {
    if (!rights.isInstalled) {
      await migrate(client)
      if (grantTo !== undefined) await inTransaction(client, () => client.query(grantSql(grantTo)))
    }
    if (fresh.length >= MANY_TABLES) observe({ type: 'tables.watching', tables: fresh.length })
    for (const relation of fresh) {
      const problem = await watchOne(client, relation, options)
      if (problem) report(problem)
      if (problem) isDone = false
      else done.push(relation.shown)
    }
  }
  // The first schema has the tables only if their histories have begun, perhaps by another server that starts at the same time.
  if (toWatch.length > 0 && !isLacking && (isFirst || done.length > 0)) await begin(client, toWatch)
  return { ...result, watched: done, isDone }
}

async function begin(client: pg.Client, tables: readonly Relation[]): Promise<void> {
  try {
    await beginHistories(
      client,
      tables.map(({ relid }) => relid),
    )
  } catch (error) {
    // The checks of the catalogue compare the tables as well, and report what goes wrong.
    if (!isOfStatement(error)) throw error
  }
}

/** @returns why it is not watched; undefined: it is */
async function watchOne(
  client: pg.Client,
  { relid, shown, schema, name }: Relation,
  { config, grantTo }: ReconcileOptions,
): Promise<Problem | undefined> {
  const isWatched = async () => (await readStates(client, [relid])).has(relid)
  try {
    // Another server that starts at the same time may have been faster, and holds locks while the history begins.
    if (!(await isWatched()))
      await watchTable(client, relid, { always: false, patience: LOCK_PATIENCE_MS, config })
    if (grantTo !== undefined)
      await inTransaction(client, () => client.query(grantReadSql(grantTo, { schema, table: name })))
    return undefined
  } catch (error) {
    if (!isOfStatement(error)) throw error
    if (await isWatched()) return undefined
    const hint = error instanceof ListenqlError ? error.hint : undefined
    return { tables: [shown], message: messageOf(error), ...(hint !== undefined && { hint }) }
  }
}

/** Stops watching tables that the patterns do not select. @returns those that are no longer watched, as SQL */
export async function unwatchOthers(
  client: pg.Client,
  others: readonly WatchedRelation[],
  { config, report }: Pick<ReconcileOptions, 'config' | 'report'>,
): Promise<readonly string[]> {
  const done: string[] = []
  for (const { relid, shown } of others) {
    try {
      await unwatchTable(client, relid, { patience: UNWATCH_PATIENCE_MS, config })
      done.push(shown)
    } catch (error) {
      if (!isOfStatement(error)) throw error
      report({
        tables: [shown],
        message: `it stays watched, although --unwatch-others is given: ${messageOf(error)}`,
        hint: `its owner runs: listenql unwatch ${shellWord(shown)}`,
      })
    }
  }
  return done
}

/** The error of a statement, after which the connection can be used. */
function isOfStatement(error: unknown): boolean {
  return error instanceof ListenqlError || isStatementError(error)
}
