import { EventEmitter, once } from 'node:events'
import pg from 'pg'
import { abortable } from '../lib/abort.js'
import { messageOf } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { reconnect } from '../postgres/reconnect.js'
import { socketOf } from '../postgres/socket.js'
import {
  hasSqlState,
  isConflict,
  isFunctionMissing,
  isStatementError,
  SQL_STATE,
  SQL_STATE_CLASS,
} from '../postgres/sql-state.js'
import { RELAX_SESSION } from '../postgres/text-encoding.js'
import { liftTimeLimits } from '../postgres/time-limits.js'
import { type LeftOut, readCatalog, readCatalogState, readPaused } from './catalog.js'
import { type Access, readAccess } from './catalog-access.js'
import type { StateRow } from './catalog-query.js'
import { refresh, type Seen } from './refresh.js'
import { createRefreshReport } from './refresh-report.js'
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
  /** Idempotent. */
  close(): Promise<void>
}

interface RefreshRequest {
  readonly seen: Seen | undefined
  readonly resolve: () => void
  tries: number
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

/** How often the server checks for a generation that it has seen, at intervals of GENERATION_RETRY_MS. */
const GENERATION_TRIES = 10
const GENERATION_RETRY_MS = 50

/** Checks in a row that another transaction blocks before the server reports it. */
const BLOCKED_CHECKS = 30

/**
 * Checks about every second whether watched tables have changed, lets the database start new generations, and passes on the list
 * when it is another one. If there is no log, or the login lacks a right, it reports that once and keeps checking.
 */
export function createCatalog(options: CatalogOptions): Catalog {
  const { config, catalogInterval, connectTimeout, reconnectMax, observe } = options
  const stop = new AbortController()
  const wake = new EventEmitter()
  const report = createRefreshReport(observe)
  let running: Promise<void> | undefined
  let client: pg.Client | undefined
  let access: Access | undefined
  let tables: readonly WatchedTable[] | undefined
  let digest: string | undefined
  let pulse: string | undefined
  let refreshAt = 0
  let text: string | undefined
  let readAt = 0
  let requests: RefreshRequest[] = []
  let said: string | undefined
  let blocked = 0
  const leftOut = new Set<string>()

  async function run(): Promise<void> {
    await reconnect({
      config,
      reconnectMax,
      signal: stop.signal,
      session: (_, ready) => look(ready),
      onFailure(failure) {
        drop()
        say(`connection ${failure.message}`, failure)
      },
    })
    for (const one of requests) one.resolve()
  }

  /** One check, and the pause until the next, on one connection for as long as it lasts. */
  async function look(ready: () => void): Promise<void> {
    const mine = requests
    requests = []
    try {
      await check(mine)
    } catch (error) {
      requests.unshift(...mine)
      throw error
    }
    ready()
    const open = mine.filter(one => !isAnswered(one))
    const isNewlyAsked = requests.length > 0
    requests.unshift(...open)
    if (!isNewlyAsked) await untilAsked(open.length > 0 ? GENERATION_RETRY_MS : usualPause())
  }

  function usualPause(): number {
    return access?.mayRefresh && access.mayRead ? catalogInterval : 2 * catalogInterval
  }

  async function untilAsked(ms: number): Promise<void> {
    const waited = new AbortController()
    const timer = setTimeout(() => waited.abort(), ms)
    await once(wake, 'asked', { signal: AbortSignal.any([stop.signal, waited.signal]) }).catch(
      () => undefined,
    )
    clearTimeout(timer)
  }

  function isAnswered(one: RefreshRequest): boolean {
    one.tries++
    const { seen } = one
    const table = seen && tables?.find(({ relid }) => relid === seen.relid)
    const isKnown = !table || table.generation >= seen.generation
    if (!isKnown && access?.mayRefresh && one.tries < GENERATION_TRIES) return false
    one.resolve()
    return true
  }

  async function check(mine: readonly RefreshRequest[]): Promise<void> {
    const connection = await connect()
    if (!access?.mayRefresh || !access.mayRead) {
      access = await readAccess(connection)
      sayAccess(access)
    }
    try {
      let state = access.mayRead ? await readCatalogState(connection) : undefined
      const isDue = mine.length > 0 || state?.pulse !== pulse || performance.now() >= refreshAt
      if (access.mayRefresh && isDue) {
        pulse = state?.pulse // the earlier one, so that a change during the refresh shows in the next check
        const began = performance.now()
        let isDone = await refreshAll(connection, mine)
        state &&= await readCatalogState(connection)
        if (state?.isWhole === false) isDone = false // another server may be refreshing
        const took = performance.now() - began
        refreshAt =
          performance.now() + (isDone ? Math.max(REFRESH_ANYWAY_MS, took * REFRESH_COST_FACTOR) : took * 4)
      }
      if (state) await read(connection, state)
      else if (!access.isInstalled || !tables) handOn([], [])
    } catch (error) {
      if (!isAccessLost(error)) throw error
      access = undefined // the next check reads it again
      digest = undefined
      pulse = undefined
    }
  }

  async function connect(): Promise<pg.Client> {
    if (client) return client
    const opened = new pg.Client({
      ...config,
      application_name: 'listenql catalog',
      connectionTimeoutMillis: connectTimeout,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    })
    client = opened
    opened.on('error', () => {
      if (client === opened) client = undefined
    })
    await opened.connect()
    await liftTimeLimits(opened, connectTimeout)
    await opened.query(RELAX_SESSION) // a message of refresh() about one table must not hide the others
    access = undefined
    pulse = undefined
    return opened
  }

  function drop(): void {
    if (!client) return
    socketOf(client).destroy()
    client = undefined
  }

  /** True if nothing is left to do. */
  async function refreshAll(connection: pg.Client, mine: readonly RefreshRequest[]): Promise<boolean> {
    let isDone = true
    const newest = new Map<string, number>()
    for (const { seen } of mine) {
      if (seen) newest.set(seen.relid, Math.max(seen.generation, newest.get(seen.relid) ?? 0))
    }
    const calls: (Seen | undefined)[] = [...newest].map(([relid, generation]) => ({ relid, generation }))
    for (const seen of calls.length > 0 ? calls : [undefined]) {
      try {
        const rows = await refresh(connection, seen)
        report.rows(rows)
        if (rows.some(({ change }) => change === 'lacking')) isDone = false
        blocked = 0
        sayNothing()
      } catch (error) {
        // A cancelled check is abandoned with its connection.
        const isOver = !isStatementError(error) || hasSqlState(error, SQL_STATE_CLASS.operatorIntervention)
        if (isOver || isAccessLost(error)) throw error
        isDone = false
        if (!isInTheWay(error)) say(`refresh ${messageOf(error)}`, describeFailure(error, config))
        else if (++blocked === BLOCKED_CHECKS) say('blocked', describeFailure(error, config))
      }
    }
    return isDone
  }

  async function read(connection: pg.Client, state: StateRow): Promise<void> {
    if (state.digest === digest && performance.now() - readAt < READ_ANYWAY_MS) return
    const list = await readCatalog(connection, sayLeftOut)
    const paused = await readPaused(connection, list)
    digest = state.digest // the earlier one, so that a change during the read shows in the next check
    readAt = performance.now()
    handOn(list, paused)
  }

  function handOn(list: readonly WatchedTable[], paused: readonly string[]): void {
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

  function sayAccess({ isInstalled, lacking }: Access): void {
    if (lacking) return say(`access ${lacking.message}`, lacking)
    if (isInstalled || said === 'absent') return
    said = 'absent'
    observe({ type: 'catalog.absent' })
  }

  function sayLeftOut({ relid, what, detail }: LeftOut): void {
    const key = `${relid} ${what} ${detail}`
    if (leftOut.has(key)) return
    leftOut.add(key)
    observe({ type: 'catalog.unreadable', relid, what, detail })
  }

  /** Reports a failure, but not twice in a row. */
  function say(key: string, failure: Failure): void {
    if (said === key) return
    said = key
    observe({ type: 'catalog.failed', ...failure })
  }

  function sayNothing(): void {
    if (access?.mayRefresh && access.mayRead) said = undefined
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
      const seen = relid === undefined ? undefined : { relid, generation: generation ?? 0 }
      const answered = new Promise<void>(resolve => requests.push({ seen, resolve, tries: 0 }))
      wake.emit('asked')
      return abortable(answered, signal)
    },
    async close() {
      if (!stop.signal.aborted) {
        stop.abort()
        drop() // a check in progress ends with its connection, and Postgres rolls it back
        for (const one of requests.splice(0)) one.resolve()
      }
      await running
    },
  }
}

/** Another transaction holds a lock that `refresh` needs: the next check may get it. */
function isInTheWay(error: unknown): boolean {
  return isConflict(error) || hasSqlState(error, SQL_STATE.lockNotAvailable)
}

/** The login's rights or the schema have been removed. */
function isAccessLost(error: unknown): boolean {
  return (
    isFunctionMissing(error) || hasSqlState(error, SQL_STATE.insufficientPrivilege, SQL_STATE.undefinedTable)
  )
}
