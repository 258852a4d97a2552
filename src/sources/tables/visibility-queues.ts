import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { createDeferred, type Deferred } from '../../lib/deferred.js'
import { ListenqlError } from '../../lib/errors.js'
import type { Observe } from '../../lib/observation.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { Position } from '../../log/position.js'
import type { CheckVisibility } from '../../rls/visibility.js'
import { unreadable } from './hand-on.js'
import type { Present } from './present.js'
import { VisibilityQueue } from './visibility-queue.js'
import type { VisibilityRequest } from './waiting-event.js'

export interface VisibilityQueuesOptions {
  readonly log: Pick<LogFollower, 'position' | 'follow' | 'read' | 'cursors'>
  readonly checkVisibility: CheckVisibility
  /** The table as it is known, and the rows of an event of it; undefined if it is not watched any more. */
  readonly read: (event: LogEvent) => { readonly table: WatchedTable; readonly images: Images } | undefined
  /**
   * Most events that wait in memory, and most characters of their images, shared by the tables that have something to wait
   * for. Beyond that they are read from the log again, or the subscriptions of viewers who are later than others end.
   */
  readonly maxWaiting?: number
  readonly maxWaitingSize?: number
  /** Most steps that a filter may take for one event. */
  readonly maxFilterWork: number
  /** Undefined: no policy reads its own table. */
  readonly present?: Present | undefined
  readonly observe: Observe
}

export interface Followed {
  /** What comes after this position of the log is handed on; undefined if the log is not read yet. */
  readonly from: Position | undefined
  /** All live events up to here have been handed on to this follower, and none after it; undefined if the log is not read yet. */
  position(): Position | undefined
  readonly stop: Stop
}

interface StagedTable {
  readonly queue: VisibilityQueue
  readonly stop: Stop
}

/** How long a change of the schema, and so the log, waits for viewers whose policies take long, in ms. */
const SCHEMA_CHANGE_PATIENCE_MS = 1000

/**
 * Where live events of tables with row-level security wait until it is known who sees what of them. Each table has a queue of
 * its own; those who follow without row-level security are not held up. Events are handed on in the order of the log, and a
 * subscription has a position of its own, which may lie before that of the log.
 */
export class VisibilityQueues {
  readonly #options: VisibilityQueuesOptions
  readonly #tables = new Map<string, StagedTable>()
  readonly #stop = new AbortController()
  #paused: Deferred | undefined

  constructor(options: VisibilityQueuesOptions) {
    this.#options = options
  }

  /** From the next event of the log on. */
  follow(relid: string, request: VisibilityRequest): Followed {
    const { queue } = this.#provide(relid)
    const place = queue.add(request)
    return { from: place.from, position: () => queue.position(place), stop: () => place.leave() }
  }

  /** Tells all who follow a table that it ends. */
  end(relid: string, error: ListenqlError): void {
    const table = this.#tables.get(relid)
    if (!table) return
    this.#tables.delete(relid)
    table.stop()
    table.queue.end(error)
  }

  /** Resolves once all has been handed on that the log has; undefined if it has been. Viewers for whom that takes too long end. */
  drained(): Promise<void> | undefined {
    const busy = [...this.#tables.values()].map(({ queue }) => queue).filter(({ isBusy }) => isBusy)
    if (busy.length === 0) return undefined
    return Promise.all(busy.map(queue => queue.settle(SCHEMA_CHANGE_PATIENCE_MS))).then(() => undefined)
  }

  pause(): void {
    this.#paused ??= createDeferred()
  }

  resume(): void {
    this.#paused?.resolve()
    this.#paused = undefined
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.resume()
    await this.drained()
  }

  #provide(relid: string): StagedTable {
    const known = this.#tables.get(relid)
    if (known) return known
    const { log, checkVisibility, read, present, maxFilterWork } = this.#options
    const queue: VisibilityQueue = new VisibilityQueue({
      relid,
      log,
      checkVisibility,
      read,
      present,
      limits: () => this.#limits(),
      maxFilterWork,
      paused: () => this.#paused?.promise,
      signal: this.#stop.signal,
      onFault: error => this.#fault(error),
      onEmpty: () => this.#release(relid, queue),
      onFailure: error => this.#fail(relid, queue, error),
    })
    const stop = log.follow('t', relid, {
      event: event => queue.take(event),
      lost: error => {
        if (this.#tables.get(relid)?.queue === queue) this.#tables.delete(relid)
        queue.end(error)
      },
    })
    const table = { queue, stop }
    this.#tables.set(relid, table)
    return table
  }

  #release(relid: string, queue: VisibilityQueue): void {
    const table = this.#tables.get(relid)
    if (table?.queue !== queue) return
    this.#tables.delete(relid)
    table.stop()
    queue.abandon()
  }

  /** What waits for one table may take what it would if all that wait took the same. */
  #limits() {
    const { maxWaiting = 5000, maxWaitingSize = 2 ** 25 } = this.#options
    let busy = 0
    for (const { queue } of this.#tables.values()) if (queue.isBusy) busy++
    const share = Math.max(1, busy)
    return { events: Math.ceil(maxWaiting / share), size: Math.ceil(maxWaitingSize / share) }
  }

  #fault(error: unknown): void {
    this.#options.observe({ type: 'fault', id: 'row stage', message: 'an event could not be handled', error })
  }

  /** The log has no more what lies between, or something unforeseen: those who follow the table begin anew. */
  #fail(relid: string, queue: VisibilityQueue, error: unknown): void {
    const isTold = error instanceof ListenqlError
    if (!isTold) this.#fault(error)
    if (this.#tables.get(relid)?.queue === queue) this.end(relid, isTold ? error : unreadable())
    else queue.end(isTold ? error : unreadable())
  }
}
