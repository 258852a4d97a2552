import type { Viewer } from '../../auth/viewer.js'
import type { Position } from '../../log/position.js'
import type { DeliverPage } from './deliver-page.js'
import type { StageView, VisibleEvents } from './stage-view.js'
import { eventsBetween, PAGE_EVENTS, type QueuedSubscription, type WaitingEvent } from './waiting-event.js'

export interface SlowViewerOptions {
  readonly key: string
  readonly viewer: Viewer
  /** The last event that has been delivered to the viewer, and the position up to which every event has been. */
  readonly at: WaitingEvent
  readonly held: Position
  /** The page whose answer is still missing, the events of it for which the policies are being checked, and the promised answer. */
  readonly page: readonly WaitingEvent[]
  readonly checked: readonly WaitingEvent[]
  readonly view: Promise<StageView>
  /** Checks the policies for this viewer only. */
  readonly readView: (checked: readonly WaitingEvent[]) => Promise<StageView>
  readonly deliverPage: DeliverPage
  /** The last event of the page that is being delivered to the other viewers, or was last. */
  readonly taken: () => WaitingEvent
  /** The viewer has caught up with `taken`. */
  readonly onLevel: () => void
  readonly isStopped: () => boolean
  readonly onFailure: (error: unknown) => void
}

/** The view of no events. */
const NOTHING: VisibleEvents = { images: [], present: undefined }

/**
 * A viewer whose policies take long, or read the table itself. It gets the events of the queue in order and at its own pace, so that
 * the other viewers do not wait for it. It never gets ahead of them.
 */
export class SlowViewer {
  readonly key: string
  /** Resolves when the viewer has caught up with the others, or has been stopped. */
  readonly running: Promise<void>
  readonly #options: SlowViewerOptions
  #at: WaitingEvent
  #held: Position
  #isOver = false

  constructor(options: SlowViewerOptions) {
    this.#options = options
    this.key = options.key
    this.#at = options.at
    this.#held = options.held
    this.running = this.#run().catch((error: unknown) => {
      if (!this.#isStopped) options.onFailure(error)
    })
  }

  /** The last event that has been delivered to the viewer. */
  get at(): WaitingEvent {
    return this.#at
  }

  /** Every event up to here has been delivered to the viewer. */
  get held(): Position {
    return this.#held
  }

  /** The viewer advances with the others again, or its subscriptions have ended. */
  stop(): void {
    this.#isOver = true
  }

  get #isStopped(): boolean {
    return this.#isOver || this.#options.isStopped()
  }

  async #run(): Promise<void> {
    const { page, checked, view, taken, readView, onLevel } = this.#options
    await this.#deliverPage(page, checked, await view)
    while (!this.#isStopped) {
      const next = eventsBetween(this.#at, taken(), PAGE_EVENTS)
      if (next.length === 0) return onLevel()
      const mine = next.filter(({ interest }) =>
        interest?.subscriptions.some(subscription => this.#isMine(subscription)),
      )
      await this.#deliverPage(next, mine, mine.length > 0 ? await readView(mine) : NOTHING)
    }
  }

  #isMine(subscription: QueuedSubscription): boolean {
    return subscription.key === this.key && !subscription.hasLeft
  }

  async #deliverPage(
    page: readonly WaitingEvent[],
    checked: readonly WaitingEvent[],
    view: StageView,
  ): Promise<void> {
    const isDone = await this.#options.deliverPage({
      page,
      checked,
      withDecided: false,
      viewOf: subscription => (this.#isMine(subscription) ? view : undefined),
      onDelivered: position => {
        this.#held = position
      },
      isStopped: () => this.#isStopped,
    })
    if (isDone) this.#at = page.at(-1) ?? this.#at
  }
}
