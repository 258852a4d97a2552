import type pg from 'pg'
import { abortable, createTimer } from '../lib/abort.js'
import type { Observe } from '../lib/observation.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { type Connection, openConnection } from '../postgres/connection.js'
import { reconnect } from '../postgres/reconnect.js'
import {
  hasSqlState,
  isConflict,
  isFunctionMissing,
  isStatementError,
  SQL_STATE,
  SQL_STATE_CLASS,
} from '../postgres/sql-state.js'
import { RELAX_SESSION } from '../postgres/text-encoding.js'
import { readCatalog, readCatalogState, readPaused } from './catalog.js'
import { type Access, readAccess } from './catalog-access.js'
import type { StateRow } from './catalog-query.js'
import { createCatalogReport } from './catalog-report.js'
import { refresh, type Seen } from './refresh.js'
import { createRefreshRequests, newestGenerations, type RefreshRequest } from './refresh-requests.js'
import type { WatchedTable } from './watched-table.js'

export interface CatalogOptions {
  readonly config: pg.ClientConfig
  /** Time between two checks, in ms. */
  readonly catalogInterval: number
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  readonly observe: Observe
  /**
   * Called in each check, before the tables are read, with the pulse of `readCatalogState` (undefined: the login may not read it). It may
   * watch tables; returns whether other tables are watched now. Must not reject. Default: nothing
   */
  readonly declare?: ((pulse: string | undefined) => Promise<boolean>) | undefined
  /**
   * Called with the watched tables: once when they are known for the first time (possibly none), then after each change.
   * @param paused oids of tables that are watched but have no complete history at the moment
   */
  readonly onChange: (tables: readonly WatchedTable[], paused: readonly string[]) => void
}

/** Keeps the list of watched tables up to date. */
export interface Catalog {
  /** The latest list; undefined until it is known. */
  readonly tables: readonly WatchedTable[] | undefined
  start(): void
  /**
   * Checks at once. With a generation from an event of the log, it checks until that generation is known (or cannot become known: the
   * login may not refresh, or the table is not watched). `onChange` has been called when this resolves. Waits while the database
   * is down; resolves on `close`, rejects when the signal aborts.
   */
  refreshNow(relid?: string, generation?: number, signal?: AbortSignal): Promise<void>
  /** Calls `onChange` again with the list that is known, at the next check, which is made at once. */
  repeat(): void
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * Longest that a check may take, in ms; nothing else reveals a dead peer. A first check of many tables creates functions for
 * each: if it were abandoned half-way, it would start again and never finish.
 */
const QUERY_TIMEOUT_MS = 300_000

/** After this many ms the catalogue is read even without a sign of a change. */
const READ_ANYWAY_MS = 60_000

/** After this many ms the database compares all tables, even without a sign of a change. */
const REFRESH_ANYWAY_MS = 10_000

/** Minimum pause between comparisons, as a multiple of their duration: with hundreds of tables one takes a second. */
const REFRESH_COST_FACTOR = 30

/** Pause before the next comparison if the last one left something to do, as a multiple of its duration. */
const UNFINISHED_COST_FACTOR = 4

/** Pause between checks for a generation that the server has seen in the log, in ms. */
const GENERATION_RETRY_MS = 50

/**
 * Checks about every second whether watched tables have changed, lets the database start new generations, and passes on the list
 * when it is another one. If there is no log, or the login lacks a right, it reports that once and keeps checking.
 */
export function createCatalog(options: CatalogOptions): Catalog {
  const { config, catalogInterval, connectTimeout, reconnectMax, observe } = options
  const stop = new AbortController()
  const timer = createTimer()
  const requests = createRefreshRequests()
  const report = createCatalogReport(observe)
  let running: Promise<void> | undefined
  let connection: Connection | undefined
  let access: Access | undefined
  let tables: readonly WatchedTable[] | undefined
  /** `tables` as JSON. */
  let text: string | undefined
  /** See `readCatalogState`: those of the last read and of the last refresh. */
  let digest: string | undefined
  let pulse: string | undefined
  /** When the catalogue was last read, and when to refresh even without a sign of a change (`performance.now()`). */
  let readAt = 0
  let refreshAt = 0

  async function run(): Promise<void> {
    await reconnect({
      config,
      reconnectMax,
      signal: stop.signal,
      session: (_, ready) => checkAndWait(ready),
      onFailure(failure) {
        connection?.destroy()
        connection = undefined
        report.disconnected(failure)
      },
    })
  }

  /** One check, and the pause until the next, on one connection for as long as it lasts. */
  async function checkAndWait(ready: () => void): Promise<void> {
    const waiting = requests.waiting()
    await check(waiting)
    ready()
    const hasAllRights = access?.mayRefresh === true && access.mayRead
    const due = requests.checked(waiting, tables, access?.mayRefresh === true)
    if (due === 'now' || stop.signal.aborted) return
    await timer.wait(
      due === 'soon' ? GENERATION_RETRY_MS : hasAllRights ? catalogInterval : 2 * catalogInterval,
    )
  }

  async function check(requested: readonly RefreshRequest[]): Promise<void> {
    const { client } = await connect()
    try {
      const hadAllRights = access?.mayRefresh === true && access.mayRead
      let { rights, state } = await lookAt(client)
      if (await options.declare?.(state?.pulse)) ({ rights, state } = await lookAt(client))
      if (!hadAllRights) report.access(rights)
      const isDue = requested.length > 0 || state?.pulse !== pulse || performance.now() >= refreshAt
      if (rights.mayRefresh && isDue) {
        pulse = state?.pulse // the earlier one, so that a change during the refresh shows in the next check
        const began = performance.now()
        let isDone = await refreshAll(client, newestGenerations(requested))
        state &&= await readCatalogState(client)
        if (state?.isWhole === false) isDone = false // another server may be refreshing
        const now = performance.now()
        const took = now - began
        refreshAt =
          now +
          (isDone ? Math.max(REFRESH_ANYWAY_MS, took * REFRESH_COST_FACTOR) : took * UNFINISHED_COST_FACTOR)
      }
      if (state) await read(client, state)
      else if (!rights.isInstalled || !tables) emitIfChanged([], [])
    } catch (error) {
      if (!isAccessLost(error)) throw error
      access = undefined // the next check reads it again
      digest = undefined
      pulse = undefined
    }
  }

  /** The rights of the login, read again if it lacks some, and the state unless it may not read it. */
  async function lookAt(client: pg.Client): Promise<{ rights: Access; state: StateRow | undefined }> {
    const rights = access?.mayRefresh && access.mayRead ? access : await readAccess(client)
    access = rights
    return { rights, state: rights.mayRead ? await readCatalogState(client) : undefined }
  }

  async function connect(): Promise<Connection> {
    if (connection && !connection.lost) return connection
    connection?.destroy()
    access = undefined
    pulse = undefined
    connection = await openConnection({
      config: { ...config, application_name: 'listenql catalog' },
      connectTimeout,
      queryTimeout: QUERY_TIMEOUT_MS,
      signal: stop.signal, // a check in progress ends with its connection, and Postgres rolls it back
    })
    await connection.client.query(RELAX_SESSION) // a message of refresh() about one table must not hide the others
    return connection
  }

  /** @param seen the generations to look for. None: refreshes all tables. @returns whether nothing is left to do */
  async function refreshAll(client: pg.Client, seen: readonly Seen[]): Promise<boolean> {
    let isDone = true
    for (const one of seen.length > 0 ? seen : [undefined]) {
      try {
        const rows = await refresh(client, one)
        report.refreshed(rows)
        if (rows.some(({ change }) => change === 'lacking')) isDone = false
      } catch (error) {
        // A cancelled check is abandoned with its connection.
        const isOver = !isStatementError(error) || hasSqlState(error, SQL_STATE_CLASS.operatorIntervention)
        if (isOver || isAccessLost(error)) throw error
        isDone = false
        const failure = describeFailure(error, config)
        if (isBlocked(error)) report.blocked(failure)
        else report.notRefreshed(error, failure)
      }
    }
    return isDone
  }

  async function read(client: pg.Client, state: StateRow): Promise<void> {
    if (state.digest === digest && performance.now() - readAt < READ_ANYWAY_MS) return
    const list = await readCatalog(client, report.leftOut)
    const paused = await readPaused(client, list)
    digest = state.digest // the earlier one, so that a change during the read shows in the next check
    readAt = performance.now()
    emitIfChanged(list, paused)
  }

  function emitIfChanged(list: readonly WatchedTable[], paused: readonly string[]): void {
    report.whole(list)
    const now = JSON.stringify(list)
    if (now === text) return
    text = now
    tables = list
    try {
      options.onChange(list, paused)
    } catch (error) {
      observe({
        type: 'fault',
        id: 'catalog',
        message: 'the new list of watched tables could not be applied',
        error,
      })
    }
  }

  return {
    get tables() {
      return tables
    },
    start() {
      running ??= run()
    },
    refreshNow(relid, generation, signal) {
      if (stop.signal.aborted) return Promise.resolve()
      const answered = requests.add(relid === undefined ? undefined : { relid, generation: generation ?? 0 })
      timer.wake()
      return abortable(answered, signal)
    },
    repeat() {
      text = undefined
      digest = undefined
      timer.wake()
    },
    async close() {
      stop.abort()
      timer.wake()
      requests.close()
      await running
    },
  }
}

/** Another transaction holds a lock that `refresh` needs: the next check may get it. */
function isBlocked(error: unknown): boolean {
  return isConflict(error) || hasSqlState(error, SQL_STATE.lockNotAvailable)
}

/** The login's rights or the schema have been removed. */
function isAccessLost(error: unknown): boolean {
  return (
    isFunctionMissing(error) || hasSqlState(error, SQL_STATE.insufficientPrivilege, SQL_STATE.undefinedTable)
  )
}
