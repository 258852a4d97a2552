import type pg from 'pg'
import { createStopController, delay } from '../lib/abort.js'
import { createDeferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import type { Stop } from '../lib/stop.js'
import { STANDBY } from '../postgres/connect-failure.js'
import { type FailureDetails, reconnect } from '../postgres/reconnect.js'
import { isRefusal } from '../postgres/sql-state.js'
import { type Cursors, createCursors } from './cursors.js'
import type { Doorbell } from './doorbell.js'
import { createFlow, type PausableFlow } from './flow.js'
import { type LogConnection, openLogConnection, QUERY_TIMEOUT_MS } from './log-connection.js'
import type { LogEvent } from './log-event.js'
import { LogHealth, type LogState } from './log-health.js'
import { cursorKey, imageLimit, newest, type Page, pull, read } from './log-queries.js'
import { createLogReader, type LogReader } from './log-reader.js'
import { createLogTopics, type LogListener, type LogTopics } from './log-topics.js'
import type { LogTroubles } from './log-troubles.js'
import { comparePositions, type Position } from './position.js'
import { type Checkpoint, pump } from './pump.js'

export interface LogFollowerOptions {
  readonly config: pg.ClientConfig
  readonly doorbell: Doorbell
  /** Whether statements stay prepared in the session. A pooler in transaction mode does not allow that. Default: false. */
  readonly keepsPrepared?: boolean
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  /**
   * Largest event that is delivered, in bytes. Sets the size above which an image is read in pieces; see `imageLimit`. Default:
   * 0, which gives 64 MiB.
   */
  readonly maxEvent?: number
  /** Reports events that cannot be read, and a place in the log at which reading stalls. */
  readonly troubles?: LogTroubles
  /** Called once per connection when the database has answered, even if it has no log or the log cannot be read. */
  readonly onAnswer?: () => void
  /** Called once per connection when it is about to read its first page. */
  readonly onFollowed?: () => void
  /** What happens at certain places in the log. Default: nothing. */
  readonly checkpoint?: Checkpoint
  /** Resolves once the frames of the events dispatched so far have been sent. Default: after one turn of the event loop. */
  readonly breathe?: () => Promise<void>
  readonly observe: Observe
}

/** How often `reached` checks the position, in ms. */
const POLL_REACHED_MS = 10

/** How often the follower checks whether the log has been installed or upgraded since it connected, in ms. */
const INSTALL_CHECK_MS = 2000

const NO_CHECKPOINT: Checkpoint = {
  beforePull: () => undefined,
  advanceTo: () => undefined,
  caughtUp: () => undefined,
}

/**
 * Follows the live event log on its own connection and reconnects after every outage. It begins at the end that the log has when
 * the follower first reads it, and dispatches each later event exactly once, in the order of the log, to the listeners of its topic.
 * If the history ends (a failover, a restore), it tells all listeners (`lost`) and follows the new history. The loop is in `pump.ts`.
 */
export class LogFollower {
  /** Encodes and decodes the positions of this log. */
  readonly cursors: Cursors
  readonly #options: LogFollowerOptions
  readonly #topics: LogTopics
  readonly #flow: PausableFlow
  readonly #health: LogHealth
  readonly #reader: LogReader
  readonly #stop = createStopController()
  readonly #started = createDeferred()
  readonly #maxImage: number
  readonly #checkpoint: Checkpoint
  #position: Position | undefined
  #histories = 0
  /** When to look for the cursor key again (`performance.now()`). Undefined: the key is known. */
  #keyDue: number | undefined
  /** `started` resolved before the log could be read: listeners that follow already must hear (`lost`) that events may be missing. */
  #wasLate = false
  #hasAnswered = false
  #nap: AbortController | undefined
  #connection: LogConnection | undefined
  #running: Promise<void> | undefined

  constructor(options: LogFollowerOptions) {
    this.#options = options
    this.#topics = createLogTopics(error =>
      options.observe({
        type: 'fault',
        id: 'event log',
        message: 'an event could not be handled',
        error,
      }),
    )
    this.#checkpoint = options.checkpoint ?? NO_CHECKPOINT
    this.#flow = createFlow(options.breathe)
    this.#health = new LogHealth(options.troubles)
    this.#maxImage = imageLimit(options.maxEvent ?? 0)
    this.#reader = createLogReader({
      ...options,
      maxImage: this.#maxImage,
      queryTimeout: QUERY_TIMEOUT_MS,
      live: () => ({ position: this.#position, history: this.#histories }),
    })
    this.cursors = createCursors({ tried: () => this.#started.promise, load: () => this.#reader.key() })
  }

  /** Every event up to here has been dispatched, and no event after it. Undefined until the end of the log is known. */
  get position(): Position | undefined {
    return this.#position
  }

  /** How many histories have ended since the follower started. Positions of two histories cannot be compared. */
  get histories(): number {
    return this.#histories
  }

  get state(): LogState {
    return this.#health.state
  }

  /** Connects, and reconnects after failures, until `close`. */
  start(): void {
    this.#running ??= this.#run()
  }

  /**
   * Resolves once the log is followed, with the position after which every event is dispatched. Resolves with undefined once it is
   * known that the log cannot be followed at the moment: the database has no log, the server's login may not read it, or the
   * database refuses. Listeners that are added then get `lost` as soon as the log can be followed.
   */
  async started(): Promise<Position | undefined> {
    await this.#started.promise
    return this.#position
  }

  follow(kind: LogEvent['kind'], topic: string, listener: LogListener): Stop {
    return this.#topics.follow(kind, topic, listener)
  }

  /** Ends the history of a topic at the present position: removes its listeners and calls their `lost`. */
  end(kind: LogEvent['kind'], topic: string, error: ListenqlError): void {
    this.#topics.end(kind, topic, error)
  }

  /**
   * Reads the page after a position from the database. While the database cannot be reached, it retries until the signal aborts.
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; DATABASE_FAILED if the database refuses the query
   */
  read(after: Position, signal: AbortSignal = this.#stop.signal): Promise<Page> {
    return this.#reader.read(after, signal)
  }

  /** Resolves once every event up to a position has been dispatched. Rejects when the signal aborts or the follower is closed. */
  async reached(position: Position, signal: AbortSignal = this.#stop.signal): Promise<void> {
    while (this.#position && comparePositions(this.#position, position) < 0) {
      signal.throwIfAborted()
      this.#stop.signal.throwIfAborted()
      this.wake()
      await delay(POLL_REACHED_MS, signal)
    }
  }

  /** Reads the log now, without waiting for the doorbell. */
  wake(): void {
    this.#options.doorbell.wake()
    this.#nap?.abort()
  }

  /** Stops dispatching events before the next event, until `resume`. */
  pause(): void {
    this.#flow.pause()
  }

  resume(): void {
    this.#flow.resume()
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#options.doorbell.wake()
    this.resume()
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
      minAttempt: () => Math.max(1, this.#health.failures),
    })
    this.#leave()
  }

  #failed(failure: Failure, { error, retryIn }: FailureDetails): void {
    if (isRefusal(error)) this.#unavailable()
    if (!failure.isAway) this.#answered()
    this.#options.observe({ type: 'log.lost', ...failure, retryIn })
    // No event is at fault when a standby refuses to be read.
    if (failure.message !== STANDBY.message) this.#health.failed(failure.message, this.#position)
  }

  /** Forgets the session. After a failure this runs only once the pause has passed: until then `state` is that of the failed session. */
  #leave(): void {
    this.#health.left()
    this.#hasAnswered = false
    this.#connection?.destroy()
    this.#connection = undefined
  }

  async #session(onReady: () => void): Promise<void> {
    this.#leave()
    const { config, connectTimeout, doorbell } = this.#options
    const { signal } = this.#stop
    const connection = await openLogConnection({ config, connectTimeout, onLost: doorbell.wake, signal })
    this.#connection = connection
    doorbell.reset()
    while (!(await connection.isReadable())) {
      onReady()
      await this.#withoutLog()
      if (signal.aborted) return
      connection.assertAlive()
    }
    await pump({
      pages: this.#pages(connection, onReady),
      checkpoint: this.#checkpoint,
      flow: this.#flow,
      dispatch: event => this.#topics.dispatch(event),
      moveTo: position => {
        this.#position = position
      },
      signal,
    })
  }

  /** The database has no log, or the login may not read it: waits for INSTALL_CHECK_MS or `wake`. */
  async #withoutLog(): Promise<void> {
    this.#health.absent()
    this.#answered()
    this.#nap = new AbortController() // before the checkpoint: a `wake` during `caughtUp` ends the delay
    this.#unavailable()
    this.#checkpoint.beforePull()
    await this.#checkpoint.caughtUp(false)
    await delay(INSTALL_CHECK_MS, AbortSignal.any([this.#stop.signal, this.#nap.signal]))
  }

  /** Reads page after page; the doorbell decides when the next one is read. */
  async *#pages(connection: LogConnection, onReady: () => void): AsyncGenerator<Page, void, undefined> {
    const { doorbell, troubles, onFollowed } = this.#options
    const { client, query } = connection
    await this.#health.connected(this.#position, query)
    let position = await this.#resume(client)
    onFollowed?.()
    onReady()
    while (!this.#stop.signal.aborted) {
      this.#checkpoint.beforePull()
      const page = await this.#pull(client, position)
      this.#answered()
      this.#health.pulled()
      if (page.losses && page.losses.length > 0) await troubles?.lost(page.losses, query)
      if (this.#stop.signal.aborted) return
      yield page
      position = page.position
      // The key appears when schema listenql is upgraded while this server runs.
      if (this.#keyDue !== undefined && this.#keyDue <= performance.now()) await this.#learnKey(client)
      this.#health.passed(page.isLast)
      if (troubles?.isNoted) await troubles.note(query)
      await doorbell.next(page.events.length, query)
      connection.assertAlive()
    }
  }

  /** The position to continue from: the present one if its history still exists, otherwise the end of the new history. */
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

  async #pull(client: pg.Client, after: Position): Promise<Page> {
    try {
      return await pull(client, after, {
        name: this.#options.keepsPrepared ? 'listenql pull' : undefined,
        maxImage: this.#maxImage,
        ...(this.#health.isCautious && { limit: 1 }),
      })
    } catch (error) {
      if (!(error instanceof ListenqlError)) throw error
      const end = await this.#newest(client)
      this.#reset(error, end)
      return { events: [], position: end, isLast: true }
    }
  }

  /**
   * The end of the log. This call also notices that the database was restored or copied and begins a new history, which may have
   * another key.
   */
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

  /** The history has ended, and a new one begins at this position. */
  #reset(error: ListenqlError, begin: Position): void {
    this.#histories++
    this.#position = begin
    this.#topics.endAll(error)
  }

  #answered(): void {
    if (this.#hasAnswered) return
    this.#hasAnswered = true
    this.#options.onAnswer?.()
  }

  #unavailable(): void {
    if (this.#position === undefined) this.#wasLate = true
    this.#started.resolve()
  }
}
