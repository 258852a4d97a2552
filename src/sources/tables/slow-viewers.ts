import type { Viewer } from '../../auth/viewer.js'
import { delay } from '../../lib/abort.js'
import { ListenqlError } from '../../lib/errors.js'
import { type DeliverPage, unreadable } from './deliver-page.js'
import type { QueuedSubscriptions } from './queued-subscriptions.js'
import { SlowViewer, type SlowViewerOptions } from './slow-viewer.js'
import type { StageView, StageViews } from './stage-view.js'
import type { WaitingEvent } from './waiting-event.js'

export interface SlowViewersOptions {
  readonly subscriptions: QueuedSubscriptions
  readonly readViews: StageViews
  readonly deliverPage: DeliverPage
  /** The last event that has been delivered to the viewers that advance together, and the last event of their present page. */
  readonly at: () => WaitingEvent
  readonly taken: () => WaitingEvent
  /** Whether more events lie between these two than may wait. */
  readonly exceedsLimits: (from: WaitingEvent, to: WaitingEvent) => boolean
  readonly isStopped: () => boolean
  readonly signal: AbortSignal
  readonly onFault: (error: unknown) => void
}

const MAX_SETTLE_ROUNDS = 5

/**
 * The viewers of a queue that advance at their own pace. A viewer rejoins the others as soon as it is level with them; if it is too far
 * back, or its policies cannot be checked, its subscriptions end.
 */
export class SlowViewers {
  readonly #options: SlowViewersOptions
  readonly #viewers = new Map<string, SlowViewer>()

  constructor(options: SlowViewersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#viewers.size
  }

  /** @param key the viewer's key. @returns undefined: it advances with the others */
  get(key: string): SlowViewer | undefined {
    return this.#viewers.get(key)
  }

  /** @param from where the viewer is, with the page for which its answer is missing */
  add(
    viewer: Viewer,
    from: Pick<SlowViewerOptions, 'key' | 'at' | 'held' | 'page' | 'checked' | 'view'>,
  ): void {
    const { readViews, deliverPage, at, taken, isStopped, onFault } = this.#options
    const slow: SlowViewer = new SlowViewer({
      ...from,
      viewer,
      readView: async checked =>
        (await readViews([viewer], checked)).get(from.key) as StageView | Promise<StageView>,
      deliverPage,
      taken,
      // While a page is being delivered to the other viewers, the slow viewer waits until it is done: its position must not go back.
      onLevel: () => void (at() === slow.at && this.#remove(slow)),
      isStopped,
      onFailure: error => {
        onFault(error)
        this.#end(slow, unreadable())
      },
    })
    this.#viewers.set(from.key, slow)
  }

  /** The other viewers have got a page, up to this event. */
  passed(last: WaitingEvent): void {
    for (const slow of [...this.#viewers.values()]) {
      if (slow.at === last) this.#remove(slow)
      else if (this.#options.exceedsLimits(slow.at, last)) this.#end(slow, tooLate())
    }
  }

  /**
   * Resolves once no viewer is slow.
   * @param patience time in ms. If no viewer catches up within it, or some have not after MAX_SETTLE_ROUNDS times as long, the
   * subscriptions of the viewers that are left end
   */
  async settle(patience: number): Promise<void> {
    let left = Number.POSITIVE_INFINITY
    for (let round = 0; round < MAX_SETTLE_ROUNDS && this.size > 0 && this.size < left; round++) {
      left = this.size
      await this.#allLevelOr(patience)
    }
    if (this.#options.signal.aborted) return this.#allLevel()
    for (const slow of [...this.#viewers.values()]) this.#end(slow, tooLate())
  }

  /** Forgets all viewers; the queue has stopped. */
  clear(): void {
    this.#viewers.clear()
  }

  async #allLevelOr(ms: number): Promise<void> {
    const isDone = new AbortController()
    const waited = delay(ms, AbortSignal.any([this.#options.signal, isDone.signal]))
    await Promise.race([waited, this.#allLevel()])
    isDone.abort()
  }

  async #allLevel(): Promise<void> {
    await Promise.all([...this.#viewers.values()].map(({ running }) => running))
  }

  #remove(slow: SlowViewer): void {
    if (this.#viewers.get(slow.key) === slow) this.#viewers.delete(slow.key)
    slow.stop()
  }

  #end(slow: SlowViewer, error: ListenqlError): void {
    this.#remove(slow)
    for (const subscription of this.#options.subscriptions.ofViewer(slow.key)) {
      subscription.leave()
      subscription.follower.end(error)
    }
  }
}

function tooLate(): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    'the row-level security of the table takes too long for this viewer: too many changes are waiting',
    { hint: 'subscribe again after the last cursor' },
  )
}
