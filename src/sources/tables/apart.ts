import type { Viewer } from '../../auth/viewer.js'
import type { Position } from '../../log/position.js'
import type { HandOn } from './hand-on.js'
import type { StageView, VisibleEvents } from './stage-view.js'
import { eventsBetween, PAGE_EVENTS, type QueuedSubscription, type WaitingEvent } from './waiting-event.js'

export interface ApartOptions {
  readonly key: string
  readonly viewer: Viewer
  /** The last event that was handed on to the viewer, and the position up to which all has been. */
  readonly at: WaitingEvent
  readonly held: Position
  /** The page whose answer for the viewer is still to come, which events of it were asked about, and the answer. */
  readonly page: readonly WaitingEvent[]
  readonly asked: readonly WaitingEvent[]
  readonly view: Promise<StageView>
  /** Asks about events for this viewer alone. */
  readonly readView: (asked: readonly WaitingEvent[]) => Promise<StageView>
  readonly handOn: HandOn
  /** How far the others have asked, with what is on its way to them. */
  readonly taken: () => WaitingEvent
  /** It is where `taken` is. */
  readonly onLevel: () => void
  readonly isStopped: () => boolean
  readonly onFailure: (error: unknown) => void
}

/** Of no events. */
const NOTHING: VisibleEvents = { images: [], present: undefined }

/** A viewer for whom the policies take long, or read the table themselves: it goes on at its own pace, never further than the others. */
export class Apart {
  readonly key: string
  /** Resolves when it is level with the others, or over. */
  readonly running: Promise<void>
  readonly #options: ApartOptions
  #at: WaitingEvent
  #held: Position
  #isOver = false

  constructor(options: ApartOptions) {
    this.#options = options
    this.key = options.key
    this.#at = options.at
    this.#held = options.held
    this.running = this.#run().catch((error: unknown) => {
      if (!this.#isStopped) options.onFailure(error)
    })
  }

  /** The last event that has been handed on to it. */
  get at(): WaitingEvent {
    return this.#at
  }

  /** Everything up to here has been handed on to it. */
  get held(): Position {
    return this.#held
  }

  /** It goes on with the others, or its subscriptions have ended. */
  stop(): void {
    this.#isOver = true
  }

  get #isStopped(): boolean {
    return this.#isOver || this.#options.isStopped()
  }

  async #run(): Promise<void> {
    const { page, asked, view, taken, readView, onLevel } = this.#options
    await this.#handOn(page, asked, await view)
    while (!this.#isStopped) {
      const next = eventsBetween(this.#at, taken(), PAGE_EVENTS)
      if (next.length === 0) return onLevel()
      const mine = next.filter(({ interest }) =>
        interest?.subscriptions.some(subscription => this.#isMine(subscription)),
      )
      await this.#handOn(next, mine, mine.length > 0 ? await readView(mine) : NOTHING)
    }
  }

  #isMine(subscription: QueuedSubscription): boolean {
    return subscription.key === this.key && !subscription.hasLeft
  }

  async #handOn(
    page: readonly WaitingEvent[],
    asked: readonly WaitingEvent[],
    view: StageView,
  ): Promise<void> {
    const isDone = await this.#options.handOn({
      page,
      asked,
      viewOf: subscription => (this.#isMine(subscription) ? view : undefined),
      onHandedOn: position => {
        this.#held = position
      },
      isStopped: () => this.#isStopped,
    })
    if (isDone) this.#at = page.at(-1) ?? this.#at
  }
}
