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
import { unreadable } from './deliver-page.js'
import type { DeliveredRows } from './delivered-rows.js'
import type { KnownTables } from './known-tables.js'
import type { RowChange } from './row-change.js'
import { VisibilityQueue, type VisibilityQueueOptions } from './visibility-queue.js'

/** A request to follow the live changes of a table. */
export interface FeedRequest {
  readonly request: ChangesRequest
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  /** The viewer whose row-level security applies. Undefined: no row-level security applies. */
  readonly viewer: Viewer | undefined
  /** Which row versions have been delivered. Undefined: no policy reads the table itself. */
  readonly delivered?: DeliveredRows | undefined
  /** No event up to here is delivered. Default: none up to the log's position. */
  readonly after?: Position | undefined
}

/** A follower's registration with a feed. */
export interface Followed {
  /** Events after this position are delivered; undefined: the log has not been read yet. */
  readonly from: Position | undefined
  /** Every live event up to here has been delivered to this follower, and none after it. Undefined: the log has not been read yet. */
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
 * The live changes of one watched table. An event is examined only for the followers that it may concern. Followers without
 * row-level security get it in the step that dispatches it; the others get it once the visibility queue knows which rows their
 * viewers may see. A follower gets every change that it may see, or `end`.
 */
export class TableFeed {
  readonly #options: TableFeedOptions
  /** The followers without row-level security. */
  readonly #open = createChangeIndex<Entry>()
  readonly #work: Work
  /** The followers under row-level security. Undefined: there are none. */
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

  /** Delivers to the follower from the next event of the log on. */
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
    this.#options.onEmpty() // first, because `end` may make a follower follow the next history at once
    this.#endQueue(error)
    for (const { follower } of this.#open.clear()) follower.end(error)
  }

  /**
   * Ends the followers without row-level security whose request passes the test, and all followers under row-level security,
   * because it is unknown which columns the policies depend on.
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

  /** Ends a follower that could not get a change: if it continued, the missing change would go unnoticed. */
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
      // The log no longer has the events that come next, or an unexpected error occurred: the followers must subscribe again.
      onFailure: error => {
        if (this.#queue === queue) this.#queue = undefined
        const isKnown = error instanceof ListenqlError
        if (!isKnown) this.#options.onFault(error)
        queue.end(isKnown ? error : unreadable())
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
