import type { Viewer } from '../../auth/viewer.js'
import { Work } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Position } from '../../log/position.js'
import type { Follower } from '../source.js'
import { createChangeIndex } from './change-index.js'
import { type ChangeView, viewAt } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import { unreadable } from './hand-on.js'
import type { KnownTables } from './known-tables.js'
import type { RowChange } from './row-change.js'
import type { ToldRows } from './told-rows.js'
import { VisibilityQueue, type VisibilityQueueOptions } from './visibility-queue.js'

/** A request to follow the live changes of a table. */
export interface FeedRequest {
  readonly request: ChangesRequest
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  /** The viewer whose row-level security applies. Undefined: none applies. */
  readonly viewer: Viewer | undefined
  /** What has been delivered so far. Undefined: no policy reads the table itself. */
  readonly told?: ToldRows | undefined
  /** No event up to here is delivered. Default: none up to the log's position. */
  readonly after?: Position | undefined
}

/** A place in a feed. */
export interface Followed {
  /** Events after this position are delivered; undefined: the log has not been read yet. */
  readonly from: Position | undefined
  /** Every live event up to here has been delivered to this follower, and none after it; undefined as `from`. */
  position(): Position | undefined
  readonly stop: Stop
}

export interface TableFeedOptions extends Omit<VisibilityQueueOptions, 'onEmpty' | 'onFailure' | 'read'> {
  readonly known: Pick<KnownTables, 'read'>
  /** The last follower has left, or all have ended. */
  readonly onEmpty: () => void
}

interface Entry extends FeedRequest {
  leave: Stop
}

/**
 * The live changes of one watched table. Each event of the log is looked at only by the followers that it may concern: followers
 * without row-level security get it in the same step, the others once the visibility queue knows which rows they may see.
 */
export class TableFeed {
  readonly #options: TableFeedOptions
  /** The followers without row-level security. */
  readonly #open = createChangeIndex<Entry>()
  readonly #work: Work
  /** Those under row-level security; undefined: there are none. */
  #queue: VisibilityQueue | undefined

  constructor(options: TableFeedOptions) {
    this.#options = options
    this.#work = new Work(options.maxFilterWork)
  }

  get isEmpty(): boolean {
    return this.#open.entries.size === 0 && this.#queue === undefined
  }

  /** Whether events wait for the policies. */
  get isBusy(): boolean {
    return this.#queue?.isBusy === true
  }

  /** From the next event of the log on. */
  follow(request: FeedRequest): Followed {
    const { viewer } = request
    if (viewer) {
      const queue = this.#provideQueue()
      const subscription = queue.add({ ...request, viewer })
      const { from } = subscription
      return { from, position: () => queue.position(subscription), stop: () => subscription.leave() }
    }
    const { log } = this.#options
    const entry: Entry = { ...request, leave: () => undefined }
    const remove = this.#open.add(request.request, entry)
    entry.leave = () => {
      remove()
      this.#release()
    }
    return { from: log.position, position: () => log.position, stop: () => entry.leave() }
  }

  /** Synchronous. */
  dispatch(event: LogEvent): void {
    const read = this.#open.entries.size > 0 ? this.#options.known.read(event) : undefined
    if (read) {
      this.#open.visit(event, read.images, entry => {
        try {
          const { follower, view } = entry
          const change = viewAt(follower.account, view, event, read.images, this.#work)
          if (change) follower.event(change)
        } catch (error) {
          this.#fail(entry, error)
        }
      })
    }
    this.#queue?.take(event)
  }

  /** Ends all followers with this error. */
  end(error: ListenqlError): void {
    this.#options.onEmpty() // first: a follower may follow the next history as soon as it is told
    this.#endQueue(error)
    for (const { follower } of this.#open.clear()) follower.end(error)
  }

  /**
   * Ends the followers without row-level security whose request passes the test, and all that are under row-level security: which
   * columns the policies depend on is not known.
   */
  endWhere(test: (request: ChangesRequest) => boolean, error: ListenqlError): void {
    this.#endQueue(error)
    for (const { request, follower, leave } of [...this.#open.entries]) {
      if (!test(request)) continue
      leave()
      follower.end(error)
    }
    this.#release()
  }

  /** See `VisibilityQueue.settle`. */
  async settle(patience: number): Promise<void> {
    await this.#queue?.settle(patience)
  }

  /** A follower that went on would not notice that a change is missing. */
  #fail({ follower, leave }: Entry, error: unknown): void {
    leave()
    if (error instanceof LimitExceeded) return follower.end(error)
    this.#options.onFault(error)
    follower.end(unreadable())
  }

  #provideQueue(): VisibilityQueue {
    if (this.#queue) return this.#queue
    const queue: VisibilityQueue = new VisibilityQueue({
      ...this.#options,
      read: event => this.#options.known.read(event),
      onEmpty: () => {
        if (this.#queue === queue) this.#queue = undefined
        queue.abandon()
        this.#release()
      },
      // The log does not hold what lies between any more, or something unforeseen happened: the followers begin anew.
      onFailure: error => {
        if (this.#queue === queue) this.#queue = undefined
        const isTold = error instanceof ListenqlError
        if (!isTold) this.#options.onFault(error)
        queue.end(isTold ? error : unreadable())
        this.#release()
      },
    })
    this.#queue = queue
    return queue
  }

  #release(): void {
    if (this.isEmpty) this.#options.onEmpty()
  }

  #endQueue(error: ListenqlError): void {
    const queue = this.#queue
    this.#queue = undefined
    queue?.end(error)
  }
}
