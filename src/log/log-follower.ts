import { createStopController, createTimer, delay } from '../lib/abort.js'
import type { ListenqlError } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import type { Stop } from '../lib/stop.js'
import { stopping } from '../lib/stopping.js'
import { STANDBY } from '../postgres/connect-failure.js'
import { type FailureDetails, reconnect } from '../postgres/reconnect.js'
import { isRefusal } from '../postgres/sql-state.js'
import { type Cursors, createCursors } from './cursors.js'
import { createFlow, type PausableFlow } from './flow.js'
import { type LivePagesOptions, livePages } from './live-pages.js'
import { LivePosition } from './live-position.js'
import type { LogEvent } from './log-event.js'
import { LogHealth, type LogState } from './log-health.js'
import { imageLimit, type Page, QUERY_TIMEOUT_MS } from './log-queries.js'
import { createLogReader, type LogReader } from './log-reader.js'
import { createLogTopics, type LogListener, type LogTopics } from './log-topics.js'
import { comparePositions, type Position } from './position.js'
import { type Checkpoint, pump } from './pump.js'

export interface LogFollowerOptions
  extends Pick<
    LivePagesOptions,
    'config' | 'connectTimeout' | 'doorbell' | 'keepsPrepared' | 'troubles' | 'onFollowed'
  > {
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  /**
   * Returns the largest event that is delivered, in bytes. Sets the size above which an image is read in pieces; see `imageLimit`. Default:
   * 0, which gives 64 MiB.
   */
  readonly maxEvent?: () => number
  /** Called once per connection when the database has answered, even if it has no log or the log cannot be read. */
  readonly onAnswer?: () => void
  /** What happens at certain places in the log. Default: nothing. */
  readonly checkpoint?: Checkpoint
  /** Resolves once the frames of the events dispatched so far have been sent. Default: after one turn of the event loop. */
  readonly breathe?: () => Promise<void>
  /** Called with each event that is dispatched, right before. It must not throw. Default: nothing. */
  readonly onDispatch?: (event: LogEvent) => void
  readonly observe: Observe
}

/** How often `reached` checks the position, in ms. */
const POLL_REACHED_MS = 10

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
  readonly #live: LivePosition
  readonly #flow: PausableFlow
  readonly #health: LogHealth
  readonly #reader: LogReader
  readonly #stop = createStopController()
  readonly #checkpoint: Checkpoint
  /** Wakes the follower while the database has no log that it may read. */
  readonly #installCheck = createTimer()
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
    this.#live = new LivePosition(error => this.#topics.endAll(error))
    this.#checkpoint = options.checkpoint ?? NO_CHECKPOINT
    this.#flow = createFlow(options.breathe)
    this.#health = new LogHealth(options.troubles, options.onAnswer)
    this.#reader = createLogReader({
      ...options,
      maxImage: () => imageLimit(options.maxEvent?.() ?? 0),
      queryTimeout: QUERY_TIMEOUT_MS,
      live: () => ({ position: this.#live.position, history: this.#live.histories }),
    })
    this.cursors = createCursors({ tried: () => this.#live.started(), load: () => this.#reader.key() })
  }

  /** Every event up to here has been dispatched, and no event after it. Undefined until the end of the log is known. */
  get position(): Position | undefined {
    return this.#live.position
  }

  /** How many histories have ended since the follower started. Positions of two histories cannot be compared. */
  get histories(): number {
    return this.#live.histories
  }

  get state(): LogState {
    return this.#health.state
  }

  /** When the loop last made a step: it read a page, dispatched a part of one, or tried to connect (`performance.now()`). */
  get movedAt(): number {
    return Math.max(this.#health.movedAt, this.#flow.turnBegan)
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
  started(): Promise<Position | undefined> {
    return this.#live.started()
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
    while (this.position && comparePositions(this.position, position) < 0) {
      signal.throwIfAborted()
      this.#stop.signal.throwIfAborted()
      this.wake()
      await delay(POLL_REACHED_MS, signal)
    }
  }

  /** Reads the log now, without waiting for the doorbell. */
  wake(): void {
    this.#options.doorbell.wake()
    this.#installCheck.wake()
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
    this.#stop.abort(stopping())
    this.wake()
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
    this.#health.left()
  }

  #failed(failure: Failure, { error, retryIn }: FailureDetails): void {
    if (isRefusal(error)) this.#live.unavailable()
    if (!failure.isAway) this.#health.answered()
    this.#options.observe({ type: 'log.lost', ...failure, retryIn })
    // No event is at fault when a standby refuses to be read.
    if (failure.message !== STANDBY.message) this.#health.failed(failure.message, this.position)
  }

  async #session(onReady: () => void): Promise<void> {
    // Only now, not at the end of the session before: until the pause after a failure has passed, `state` is that of the failed session.
    this.#health.left()
    const { signal } = this.#stop
    const pages = livePages({
      ...this.#options,
      maxImage: () => imageLimit(this.#options.maxEvent?.() ?? 0),
      live: this.#live,
      health: this.#health,
      cursors: this.cursors,
      checkpoint: this.#checkpoint,
      installCheck: this.#installCheck,
      onReady,
      signal,
    })
    await pump({
      pages,
      checkpoint: this.#checkpoint,
      flow: this.#flow,
      dispatch: event => {
        this.#options.onDispatch?.(event)
        this.#topics.dispatch(event)
      },
      moveTo: position => this.#live.moveTo(position),
      signal,
    })
  }
}
