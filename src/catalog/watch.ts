import type { ClientBase } from 'pg'
import { delay } from '../lib/abort.js'
import { messageOf } from '../lib/errors.js'
import { ask, inTransaction, type Patience, withLocks } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import { explainWatchError } from './watch-errors.js'

/** A watched table in the log. */
export interface WatchState {
  readonly generation: number
  readonly always: boolean
  /** Its history is complete since then; null: it has none at the moment. */
  readonly since: Date | null
  readonly key: readonly string[]
}

/** A table after `beginHistories`. */
export interface History {
  readonly now: WatchState
  /** Why it is incomplete. */
  readonly lacking: string | undefined
}

/** How long to wait for a history to begin while another process refreshes, in ms. */
const REFRESH_TIMEOUT_MS = 10_000

/**
 * Puts the triggers on a table. Its history begins with `beginHistories`, or with the next check of a running server.
 * @throws ListenqlError DATABASE_FAILED if it cannot be watched, a right is missing, or other sessions hold its lock for too long
 */
export async function watchTable(
  client: ClientBase,
  relid: string,
  { always, ...patience }: { readonly always: boolean } & Patience,
): Promise<void> {
  try {
    await withLocks(
      client,
      () => client.query('select listenql.watch($1::oid::regclass, $2)', [relid, always]),
      patience,
    )
  } catch (error) {
    throw await explainWatchError(client, error)
  }
}

/**
 * Lets the histories of tables begin that have their triggers, with or without a running server. It compares all watched tables, so one
 * call for many tables costs much less than a call for each.
 * @returns for each table its state, and why its history is incomplete; tables that have been unwatched meanwhile are missing
 * @throws ListenqlError DATABASE_FAILED if a right is missing
 */
export async function beginHistories(
  client: ClientBase,
  relids: readonly string[],
): Promise<ReadonlyMap<string, History>> {
  try {
    // It detects a log that was restored from a dump, whose batches are invalid here.
    await inTransaction(client, () => client.query('select listenql.newest()'))
    for (const deadline = performance.now() + REFRESH_TIMEOUT_MS; ; ) {
      // In a transaction of its own: other sessions that read the log wait until it is committed.
      const changes = await inTransaction(client, async () => {
        const { rows } = await client.query<{ relid: string; change: string; detail: string }>(
          'select relid::text as relid, change, detail from listenql.refresh()',
        )
        return rows
      })
      const states = await readStates(client, relids)
      const lacking = new Map(
        changes.filter(({ change }) => change === 'lacking').map(row => [row.relid, row.detail]),
      )
      const isOver = performance.now() > deadline
      // Another process may have locked the row of a table, and begins its history.
      const isBegun = [...states].every(([relid, { since }]) => since !== null || lacking.has(relid))
      if (isBegun || isOver) {
        return new Map(
          [...states].map(([relid, now]) => {
            const late =
              now.since === null ? 'its history has not begun yet: a running server will begin it' : undefined
            return [relid, { now, lacking: lacking.get(relid) ?? late }]
          }),
        )
      }
      await delay(100, new AbortController().signal)
    }
  } catch (error) {
    throw await explainWatchError(client, error)
  }
}

/** How a table was unwatched: completely, or with triggers that remain and do nothing. */
export type UnwatchOutcome =
  | { readonly kind: 'removed' }
  | { readonly kind: 'not watched' }
  /** `ddl` are the statements with which the table's owner removes the triggers. */
  | { readonly kind: 'silenced'; readonly reason: string; readonly ddl: readonly string[] }

/**
 * Stops watching a table. If its triggers cannot be dropped, they are changed to log nothing.
 * @throws ListenqlError DATABASE_FAILED if it belongs to a table that is watched, or a right is missing
 */
export async function unwatchTable(
  client: ClientBase,
  relid: string,
  patience: Patience,
): Promise<UnwatchOutcome> {
  try {
    await withLocks(
      client,
      () => client.query('select listenql.unwatch($1::oid::regclass)', [relid]),
      patience,
    )
    return { kind: 'removed' }
  } catch (error) {
    if (hasSqlState(error, SQL_STATE.watchRefused)) {
      if (error instanceof Error && !('hint' in error && error.hint)) return { kind: 'not watched' }
      throw await explainWatchError(client, error)
    }
    const ddl = await silence(client, relid)
    if (!ddl) throw await explainWatchError(client, error)
    return { kind: 'silenced', reason: messageOf(error), ddl }
  }
}

async function silence(client: ClientBase, relid: string): Promise<readonly string[] | undefined> {
  try {
    return await inTransaction(client, async () => {
      await client.query(`set local lock_timeout = '2s'`)
      const { rows } = await client.query<{ ddl: string }>(
        'select listenql.silence($1::oid::regclass) as ddl',
        [relid],
      )
      return rows.map(({ ddl }) => ddl)
    })
  } catch {
    return undefined // the first error says more
  }
}

/** The states of watched tables, by oid; of those that are not watched there is none. */
export async function readStates(
  client: ClientBase,
  relids: readonly string[],
): Promise<Map<string, WatchState>> {
  const rows = await ask<WatchState & { relid: string }>(
    client,
    `select relid::text as relid, generation, always, since, key_columns as key from listenql.watched
     where relid = any ($1::oid[])`,
    [relids],
  )
  return new Map(rows.map(({ relid, ...state }) => [relid, state]))
}
