import pg, { type ClientBase } from 'pg'
import { delay } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { PIN_TRANSACTION } from './pinned-settings.js'
import { hasSqlState, SQL_STATE } from './sql-state.js'

/** A transaction that holds a lock for which another one waits. */
export interface Blocker {
  /** 0: a prepared transaction. */
  readonly pid: number
  /** Which session, for how long, and its current or last statement, as text: `'app' of user bob, for 12 s: UPDATE …`. */
  readonly words: string
}

export interface Patience {
  /** Longest time in all, in ms. */
  readonly patience: number
  /** For a second connection that finds the blockers, opened when there are any. */
  readonly config: pg.ClientConfig
  /**
   * Called after a failed attempt, before the next one, which waits for the result. The connection is free meanwhile. Not called twice
   * for the same blockers.
   */
  readonly onWait?: (blockers: readonly Blocker[]) => void | Promise<void>
}

/**
 * How long one attempt waits for a lock. Writers queue up after it meanwhile. It is less than `deadlock_timeout` (1 s by default), so
 * that in a deadlock with a writer this transaction gives up and the writer is not aborted.
 */
const LOCK_TIMEOUT_MS = 800

/** How often an attempt is checked for sessions that block it, in ms: several times while it waits, whenever it begins to wait. */
const CHECK_INTERVAL_MS = 200

/** Longest pause between two attempts, in ms: writers in the queue proceed in it. */
const MAX_PAUSE_MS = 5000

/** Begins a transaction that may write, without time limits, whatever the defaults of login and database are. */
export const BEGIN = `begin isolation level read committed read write; ${PIN_TRANSACTION}`

const BEGIN_READING = `begin isolation level read committed read only; ${PIN_TRANSACTION}`

/**
 * Runs `work` in a READ COMMITTED transaction that may write, without time limits, whatever the defaults of login and database
 * are.
 */
export function inTransaction<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  return between(client, BEGIN, work)
}

/** The same for work that only reads; possible on a standby, too. */
export function inReading<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  return between(client, BEGIN_READING, work)
}

/** Runs a query about the catalogue or schema `listenql`, in a read-only transaction of its own. */
export function ask<Row extends pg.QueryResultRow>(
  client: ClientBase,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  return inReading(client, async () => (await client.query<Row>(text, [...values])).rows)
}

async function between<T>(client: ClientBase, begin: string, work: () => Promise<T>): Promise<T> {
  await client.query(begin)
  try {
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/**
 * Runs `work` in a transaction with a short lock timeout. While other sessions hold its locks, it tries again, with growing pauses.
 * @throws ListenqlError DATABASE_FAILED when patience is used up, naming the blockers; any error of `work`
 */
export async function withLocks<T>(
  client: ClientBase,
  work: () => Promise<T>,
  { patience, config, onWait }: Patience,
): Promise<T> {
  const deadline = performance.now() + patience
  const blockerWatch = createBlockerWatch(config)
  let reported = ''
  try {
    for (let attempt = 1; ; attempt++) {
      let stopWatching: () => Promise<readonly Blocker[]> = () => Promise.resolve([])
      try {
        return await inTransaction(client, async () => {
          await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`)
          const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
          stopWatching = blockerWatch.watch(rows[0]?.pid ?? 0)
          return await work()
        })
      } catch (error) {
        if (!hasSqlState(error, SQL_STATE.lockNotAvailable, SQL_STATE.deadlockDetected)) throw error
        const blockers = await stopWatching()
        const left = deadline - performance.now()
        if (left <= 0) throw gaveUp(patience, blockers, error)
        const now = blockers.map(({ words }) => words.replace(/ for [^:]*/, '')).join('; ')
        if (attempt === 1 || now !== reported) await onWait?.(blockers)
        reported = now
        await delay(Math.min(left, MAX_PAUSE_MS, 250 * 2 ** (attempt - 1)), new AbortController().signal)
      } finally {
        await stopWatching()
      }
    }
  } finally {
    await blockerWatch.close()
  }
}

function gaveUp(patience: number, blockers: readonly Blocker[], cause: unknown): ListenqlError {
  const seconds = Math.round(patience / 100) / 10
  const [first] = blockers
  const reason = first ? `held by ${blockers.map(({ words }) => words).join('; ')}` : messageOf(cause)
  return new ListenqlError('DATABASE_FAILED', `no lock on the table within ${seconds} s: ${reason}`, {
    hint: first?.pid
      ? `try again when it has ended, or end it: select pg_terminate_backend(${first.pid})`
      : 'try again later, or with a longer --wait',
    cause,
  })
}

/** Finds, on a second connection, the sessions that block another one. */
function createBlockerWatch(config: pg.ClientConfig) {
  let opened: Promise<pg.Client | undefined> | undefined

  async function open(): Promise<pg.Client | undefined> {
    const client = new pg.Client({ ...config, application_name: 'listenql watch', query_timeout: 5000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch {
      return undefined // no free connection: then the blockers are not named
    }
  }
  async function blockersOf(pid: number): Promise<readonly Blocker[]> {
    opened ??= open()
    const client = await opened
    if (!client) return []
    try {
      const { rows } = await client.query<Blocker>(BLOCKERS, [pid])
      return rows
    } catch {
      return []
    }
  }
  return {
    /** Watches a session until it is found blocked. Returns a function that stops watching and returns the blockers. */
    watch(pid: number): () => Promise<readonly Blocker[]> {
      const stopped = new AbortController()
      const watching = (async () => {
        for (;;) {
          await delay(CHECK_INTERVAL_MS, stopped.signal)
          if (stopped.signal.aborted) return []
          const found = await blockersOf(pid)
          if (found.length > 0) return found
        }
      })()
      return () => {
        stopped.abort()
        return watching
      }
    },
    async close() {
      const client = await opened
      await client?.end().catch(() => undefined)
    },
  }
}

/** pg_blocking_pids returns 0 for prepared transactions; a login may not see the queries of other users. */
const BLOCKERS = `
select b.pid, case when b.pid = 0 then
    'a prepared transaction' || coalesce((select ' (' || pg_catalog.string_agg(quote_literal(p.gid), ', ') || ')'
      from pg_catalog.pg_prepared_xacts p where p.database = pg_catalog.current_database()), '')
  else pg_catalog.concat('pid ', b.pid, coalesce(' (' || nullif(a.application_name, '') || ')', ''),
    ' of user ' || a.usename::pg_catalog.text,
    ' for ' || pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.numeric, 1) || ' s',
    case a.state when 'idle in transaction' then ', idle in its transaction' end,
    ': ' || pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 120)) end as words
from (select distinct pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) as pid) b
left join pg_catalog.pg_stat_activity a on a.pid = b.pid order by a.xact_start nulls last, b.pid limit 3`
