import pg from 'pg'
import { delay } from '../lib/abort.js'
import { createDeferred, type Deferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import type { Stop } from '../lib/stop.js'
import { STANDBY } from '../postgres/connect-failure.js'
import { type FailureDetails, reconnect } from '../postgres/reconnect.js'
import { socketOf } from '../postgres/socket.js'
import { isRefusal } from '../postgres/sql-state.js'
import { liftTimeLimits } from '../postgres/time-limits.js'
import { type Cursors, createCursors } from './cursors.js'
import type { Doorbell } from './doorbell.js'
import type { LogEvent } from './log-event.js'
import { cursorKey, imageLimit, newest, type Page, pull, read } from './log-queries.js'
import { createLogReader, type LogReader } from './log-reader.js'
import type { LogTroubles, Query } from './log-troubles.js'
import { comparePositions, type Position } from './position.js'

export interface LogFollowerOptions {
  readonly config: pg.ClientConfig
  readonly doorbell: Doorbell
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  /** Largest event that is delivered, in bytes: much larger images are not read as a whole. Default: 8 MiB. */
  readonly maxEvent?: number
  /** Takes what could not be read of events, and where reading does not get on. */
  readonly troubles?: LogTroubles
  /** Once for each connection: the database has answered, be it that there is no log or that it cannot be read. */
  readonly onAnswer?: () => void
  /** A connection has begun to read the log. */
  readonly onFollowed?: () => void
  /** Called between two events, when something else must happen first; the log waits for what it returns. */
  readonly checkpoint?: Checkpoint
  /** Resolves when others have had their turn, and what has come of the events so far has left. Default: after one turn of the event loop. */
  readonly breathe?: () => Promise<void>
  readonly observe: Observe
}

/** What must happen at a certain place in the log, before anything behind it is handed on. */
export interface Checkpoint {
  /** The ledger is about to be looked at. */
  pulling(): void
  /** These events were read, and are about to be handed on. */
  read?(events: readonly LogEvent[]): Promise<void> | undefined
  /** An event is about to be handed on. */
  before(event: LogEvent): Promise<void> | undefined
  /**
   * All that was in the ledger at the last `pulling` has been handed on.
   * @param isHandedOn false: it could not be looked at, there is no log or it may not be read
   */
  drained(isHandedOn: boolean): Promise<void> | undefined
}

/** `away`: no connection reads it. `absent`: the database has no log, or the login may not read it. */
export type LogState = 'away' | 'absent' | 'followed' | 'stalled'

/** What a topic's subscriber is told. */
export interface LogListener {
  event(event: LogEvent): void
  /** The history that was followed is gone (a failover, a restore, fallen behind what is kept): nothing more comes. */
  lost(error: ListenqlError): void
}

/** Longest that a read may take, in ms; a dead peer shows in no other way. */
const QUERY_TIMEOUT_MS = 30_000

/** How often it looks whether a position has been reached, in ms. */
const POLL_REACHED_MS = 10

/** Failures in a row at one place after which the log counts as stalled. */
const STALLED_AFTER_FAILURES = 3

/** After so many events in a row, or so long in ms, others get their turn: what has come of them leaves. */
const EVENTS_PER_TURN = 100
const TURN_MS = 5

/** How often it looks whether the log has been installed, or brought up to date, meanwhile, in ms. */
const INSTALL_CHECK_MS = 2000

const turnOver = () => new Promise<void>(resolve => void setImmediate(resolve))

async function isReadable(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ readable: boolean }>(
    `select count(distinct p.proname) filter (where p.proname <> 'cursor_key') = 3
         and coalesce(bool_and(has_function_privilege(p.oid, 'execute') and has_schema_privilege(n.oid, 'usage')), false) as readable
       from pg_namespace n join pg_proc p on p.pronamespace = n.oid
      where n.nspname = 'listenql' and p.proname in ('pull', 'read', 'newest', 'cursor_key')`,
  )
  return rows[0]?.readable === true
}

/**
 * Follows the event log on a connection of its own, from where it was when it started, and hands each event to those who
 * follow its topic, in the one order of the log.
 */
export class LogFollower {
  /** The cursors of its positions. */
  readonly cursors: Cursors
  readonly #options: LogFollowerOptions
  readonly #topics = new Map<string, Set<LogListener>>()
  readonly #stop = new AbortController()
  readonly #reader: LogReader
  readonly #started = createDeferred()
  #position: Position | undefined
  /** When to look for a key of cursors again, in ms of the process; undefined: there is one. */
  #keyDue: number | undefined
  /** How often a history has ended: positions of another one cannot be compared. */
  #histories = 0
  /** It could not be read from the start: those who did not wait must be told when it can. */
  #wasLate = false
  #resumed: Deferred | undefined
  #nap: AbortController | undefined
  #running: Promise<void> | undefined
  #state: LogState = 'away'
  /** Sessions in a row that ended, although their connection could be used, before they got on with a page. */
  #failures = 0
  #isConnected = false
  #hasAnswered = false
  /** After repeated failures: the table or channel of the event at which they may be, in words. */
  #suspect: string | undefined
  /** After repeated failures it reads one event at a time, until it has read all: what precedes the faulty one is delivered. */
  #isCautious = false
  readonly #maxImage: number
  #client: pg.Client | undefined

  constructor(options: LogFollowerOptions) {
    this.#options = options
    this.#maxImage = imageLimit(options.maxEvent ?? 0)
    this.#reader = createLogReader({
      ...options,
      maxImage: this.#maxImage,
      queryTimeout: QUERY_TIMEOUT_MS,
      live: () => ({ position: this.#position, history: this.#histories }),
    })
    this.cursors = createCursors({ tried: () => this.#started.promise, load: () => this.#reader.key() })
  }

  /** How far it has handed events on; undefined until it has found the end of the log. */
  get position(): Position | undefined {
    return this.#position
  }

  /** How many histories have ended under this follower. Positions of two histories cannot be compared. */
  get histories(): number {
    return this.#histories
  }

  get state(): LogState {
    return this.#state
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /**
   * Resolves once the log is followed, with the position from which on everything is handed on; or, once it is known that it
   * cannot be at the moment, with undefined: the database has no log, our login may not read it, or no connection is to be had.
   * Those who follow it then are told (`lost`) when it can.
   */
  async started(): Promise<Position | undefined> {
    await this.#started.promise
    return this.#position
  }

  follow(kind: 't' | 'c', topic: string, listener: LogListener): Stop {
    const key = `${kind}${topic}`
    let listeners = this.#topics.get(key)
    if (!listeners) {
      listeners = new Set()
      this.#topics.set(key, listeners)
    }
    const followers = listeners.add(listener)
    return () => {
      // Others may follow the topic's next history by now, after this one has ended.
      if (followers.delete(listener) && followers.size === 0 && this.#topics.get(key) === followers) {
        this.#topics.delete(key)
      }
    }
  }

  /** Tells those who follow a topic that its history ends here. */
  end(kind: 't' | 'c', topic: string, error: ListenqlError): void {
    const key = `${kind}${topic}`
    const listeners = this.#topics.get(key)
    this.#topics.delete(key)
    for (const listener of listeners ?? []) listener.lost(error)
  }

  /**
   * A page of what comes after a position, from the log itself. Waits while the database is away, until the signal aborts.
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; DATABASE_FAILED if the database is there and refuses
   */
  read(after: Position, signal: AbortSignal = this.#stop.signal): Promise<Page> {
    return this.#reader.read(after, signal)
  }

  /** Resolves once everything up to a position has been handed on. Rejects when the signal aborts. */
  async reached(position: Position, signal: AbortSignal = this.#stop.signal): Promise<void> {
    while (this.#position && comparePositions(this.#position, position) < 0) {
      signal.throwIfAborted()
      this.#stop.signal.throwIfAborted()
      this.wake()
      await delay(POLL_REACHED_MS, signal)
    }
  }

  /** Looks at the log now, whatever the bell says. */
  wake(): void {
    this.#options.doorbell.wake()
    this.#nap?.abort()
  }

  /** Stops handing on events, at once. */
  pause(): void {
    this.#resumed ??= createDeferred()
  }

  resume(): void {
    this.#resumed?.resolve()
    this.#resumed = undefined
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#options.doorbell.wake()
    this.resume()
    if (this.#client) socketOf(this.#client).destroy() // a read that is under way may never be answered
    await Promise.all([this.#running, this.#reader.close()])
  }

  async #run(): Promise<void> {
    const { config, reconnectMax } = this.#options
    await reconnect({
      config,
      reconnectMax,
      signal: this.#stop.signal,
      session: (_, ready) => this.#session(ready),
      onFailure: (failure, details) => this.#failed(failure, details),
      minAttempt: () => Math.max(1, this.#failures),
    })
    this.#leave()
  }

  #failed(failure: Failure, { error, retryIn }: FailureDetails): void {
    if (isRefusal(error)) this.#unavailable()
    if (!failure.isAway) this.#answered()
    this.#options.observe({ type: 'log.lost', ...failure, retryIn })
    // That a standby takes no writes is no fault of an event.
    if (failure.message !== STANDBY.message) this.#countFailure(failure.message)
  }

  /** Forgets the session. After a failure only once its pause has passed: until then the state is that of the session. */
  #leave(): void {
    if (this.#state !== 'stalled') this.#state = 'away'
    this.#isConnected = false
    this.#hasAnswered = false
    if (this.#client) socketOf(this.#client).destroy()
    this.#client = undefined
  }

  async #session(onReady: () => void): Promise<void> {
    this.#leave()
    const { config, connectTimeout, doorbell } = this.#options
    const client = new pg.Client({
      ...config,
      application_name: 'listenql log',
      connectionTimeoutMillis: connectTimeout,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
    })
    this.#client = client
    if (this.#stop.signal.aborted) return
    let lost: Error | undefined
    client.on('error', error => {
      lost ??= error
      doorbell.wake()
    })
    await client.connect()
    await liftTimeLimits(client, connectTimeout)
    doorbell.reset()
    while (!(await isReadable(client))) {
      onReady()
      this.#goOn()
      this.#answered()
      this.#state = 'absent'
      this.#nap = new AbortController() // from here on `wake` is heard
      this.#unavailable()
      this.#options.checkpoint?.pulling()
      await this.#options.checkpoint?.drained(false)
      if (this.#stop.signal.aborted) return
      await delay(INSTALL_CHECK_MS, AbortSignal.any([this.#stop.signal, this.#nap.signal]))
      if (lost) throw lost
    }
    this.#isConnected = true
    const query: Query = async (text: string, values: readonly unknown[] = []) =>
      (await client.query<Record<string, unknown>>({ text, values: [...values] })).rows
    const { checkpoint, breathe = turnOver, troubles } = this.#options
    if (this.#state === 'stalled') await troubles?.note(query)
    // If the next failure means that the log is stalled, the operator wants to know at which table.
    const suspect = this.#failures >= STALLED_AFTER_FAILURES - 1 ? this.#position : undefined
    if (suspect) this.#isCautious = true
    this.#suspect = suspect && (await troubles?.topicAfter(suspect, query))
    let position = await this.#resume(client)
    this.#options.onFollowed?.()
    onReady()
    while (!this.#stop.signal.aborted) {
      checkpoint?.pulling()
      const page = await this.#pull(client, position)
      this.#answered()
      if (this.#state !== 'stalled') this.#state = 'followed'
      if (page.losses && page.losses.length > 0) await troubles?.lost(page.losses, query)
      const looked = page.events.length > 0 ? checkpoint?.read?.(page.events) : undefined
      if (looked) await looked
      if (this.#stop.signal.aborted) return
      let began = performance.now()
      for (const [i, event] of page.events.entries()) {
        const first = checkpoint?.before(event)
        if (first) await first
        if (this.#resumed) await this.#resumed.promise
        if (this.#stop.signal.aborted) return
        this.#handOn(event)
        if (i % EVENTS_PER_TURN === EVENTS_PER_TURN - 1 || performance.now() - began > TURN_MS) {
          await breathe()
          began = performance.now()
        }
      }
      position = page.position
      this.#position = position
      if (page.isLast) {
        this.#isCautious = false
        await checkpoint?.drained(true)
      }
      // The schema may be brought up to date while this server runs.
      if (this.#keyDue !== undefined && this.#keyDue <= performance.now()) await this.#learnKey(client)
      this.#goOn()
      if (troubles?.isNoted) await troubles.note(query)
      await doorbell.next(page.events.length, query)
      if (lost) throw lost
    }
  }

  /** Where to go on: where it was, if that history still stands, otherwise at the end of the one there is. */
  async #resume(client: pg.Client): Promise<Position> {
    const end = await this.#newest(client)
    if (this.#position) {
      try {
        await read(client, this.#position, { maxImage: this.#maxImage, limit: 1 })
        return this.#position
      } catch (error) {
        if (!(error instanceof ListenqlError)) throw error
        this.#reset(error, end)
      }
    }
    this.#position = end
    this.#started.resolve()
    if (this.#wasLate) {
      this.#wasLate = false
      this.#reset(new ListenqlError('CURSOR_EXPIRED', 'the event log could not be read for a while'), end)
    }
    return this.#position
  }

  #answered(): void {
    if (this.#hasAnswered) return
    this.#hasAnswered = true
    this.#options.onAnswer?.()
  }

  /** After the end of a session: whether reading gets on at all. While the database is away, nothing is wrong with the log. */
  #countFailure(reason: string): void {
    if (!this.#isConnected || ++this.#failures < STALLED_AFTER_FAILURES) return
    this.#state = 'stalled'
    this.#options.troubles?.stalled(this.#position, this.#suspect, reason)
  }

  /** A page has been read and handed on. */
  #goOn(): void {
    this.#failures = 0
    if (this.#state !== 'stalled') return
    this.#state = 'followed'
    this.#options.troubles?.goesOn()
  }

  async #pull(client: pg.Client, after: Position): Promise<Page> {
    try {
      return await pull(client, after, {
        name: this.#options.keepsPrepared ? 'listenql pull' : undefined,
        maxImage: this.#maxImage,
        ...(this.#isCautious && { limit: 1 }),
      })
    } catch (error) {
      if (!(error instanceof ListenqlError)) throw error
      const end = await this.#newest(client)
      this.#reset(error, end)
      return { events: [], position: end, isLast: true }
    }
  }

  /** Notices a database that was restored or copied, and starts a new history there, which may have another key. */
  async #newest(client: pg.Client): Promise<Position> {
    const end = await newest(client)
    await this.#learnKey(client)
    return end
  }

  async #learnKey(client: pg.Client): Promise<void> {
    const key = await cursorKey(client)
    this.cursors.use(key)
    this.#keyDue = key ? undefined : performance.now() + INSTALL_CHECK_MS
  }

  #reset(error: ListenqlError, begin: Position): void {
    this.#histories++
    this.#position = begin
    const topics = [...this.#topics.values()]
    this.#topics.clear()
    for (const listeners of topics) for (const listener of listeners) listener.lost(error)
  }

  #unavailable(): void {
    if (this.#position === undefined) this.#wasLate = true
    this.#started.resolve()
  }

  /** The position moves with each event, in the same step: whoever looks at it has been told all up to there. */
  #handOn(event: LogEvent): void {
    const { kind, topic, unreadable } = event
    const listeners = this.#topics.get(kind + topic)
    if (kind === 't' && unreadable !== undefined) this.end(kind, topic, hole())
    else if (listeners) {
      for (const listener of listeners) {
        try {
          listener.event(event)
        } catch (error) {
          this.#options.observe({
            type: 'fault',
            id: 'event log',
            message: 'an event could not be handled',
            error,
          })
          // Without it, what follows would look whole.
          listeners.delete(listener)
          listener.lost(new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read'))
        }
      }
    }
    this.#position = event.position
  }
}

/** The history of a table that has an event of which nothing can be read, not even its key. */
export function hole(): ListenqlError {
  return new ListenqlError('CURSOR_EXPIRED', 'a change of this table cannot be read', {
    hint: 'read a snapshot, and subscribe after its cursor',
  })
}
