import { setImmediate } from 'node:timers/promises'
import type { Viewer } from '../../auth/viewer.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import { hole } from '../../log/log-topics.js'
import { comparePositions, latest, type Position } from '../../log/position.js'
import type { RowCondition } from '../../rls/conditions/viewer-condition.js'
import type { CheckVisibility, ReadConditions } from '../../rls/visibility.js'
import { joinIfLevel, pagesAfter, type ReplayPage } from '../resume.js'
import { createPageDelivery, type DeliverPage } from './deliver-page.js'
import type { KnownTables } from './known-tables.js'
import type { Present } from './present.js'
import { QueuedSubscriptions } from './queued-subscriptions.js'
import { SlowViewers } from './slow-viewers.js'
import { createStageViews, type StageView, type StageViews } from './stage-view.js'
import {
  appendEvent,
  beginChain,
  eventsBetween,
  PAGE_EVENTS,
  type QueuedSubscription,
  type VisibilityRequest,
  type WaitingEvent,
} from './waiting-event.js'

export interface VisibilityQueueOptions {
  readonly relid: string
  readonly log: Pick<LogFollower, 'position' | 'read' | 'cursors'>
  readonly checkVisibility: CheckVisibility
  readonly readConditions: ReadConditions
  readonly read: KnownTables['read']
  /** Reads present rows. Undefined: no policy reads its own table. */
  readonly present: Present | undefined
  /** Most events that may wait at the moment, and most characters of their images. */
  readonly limits: () => { readonly events: number; readonly size: number }
  readonly maxFilterWork: number
  /** Resolves when events may be delivered. Undefined: now. */
  readonly paused: () => Promise<void> | undefined
  readonly signal: AbortSignal
  readonly onFault: (error: unknown) => void
  /** The last subscription has left. */
  readonly onEmpty: () => void
  /** The queue cannot continue: all its subscriptions must end. */
  readonly onFailure: (error: unknown) => void
}

type Conditions = ReadonlyMap<string, RowCondition>

const NO_CONDITIONS: Conditions = new Map()

/**
 * The live events of one table under row-level security. They wait here until it is known which rows each viewer may see, and are
 * then delivered in the order of the log. Page by page, the queue checks the policies once per viewer, for the events that may match
 * a filter of the viewer's subscriptions. Where conditions decide in place of the policies, it reads them once per page, and an index
 * finds the viewers that see an event.
 *
 * The viewers advance together, since one query checks many viewers cheaply. A viewer for whom `checkVisibility` returns a promise
 * instead of an answer is a slow viewer: it advances at its own pace until it has caught up. The memory of waiting events is bounded.
 * Beyond the limit the queue reads events from the log again, and the subscriptions of slow viewers that are too far back end.
 */
export class VisibilityQueue {
  readonly #options: VisibilityQueueOptions
  readonly #subscriptions: QueuedSubscriptions
  readonly #slowViewers: SlowViewers
  readonly #readViews: StageViews
  readonly #deliverPage: DeliverPage
  #tail = beginChain()
  /** The last event that has been delivered to the viewers that advance together, and the last event of their present page. */
  #at = this.#tail
  #taken = this.#tail
  /** While the queue runs: every event up to here has been delivered to the viewers that advance together. */
  #held: Position | undefined
  /** Too many events waited: the queue reads events from the log until it has caught up with the live position. */
  #isLate = false
  #isOver = false
  #running: Promise<void> | undefined

  constructor(options: VisibilityQueueOptions) {
    this.#options = options
    this.#subscriptions = new QueuedSubscriptions(options)
    this.#readViews = createStageViews(options)
    this.#deliverPage = createPageDelivery(options)
    this.#slowViewers = new SlowViewers({
      subscriptions: this.#subscriptions,
      readViews: this.#readViews,
      deliverPage: this.#deliverPage,
      at: () => this.#at,
      taken: () => this.#taken,
      exceedsLimits: (from, to) => this.#exceedsLimits(from, to),
      isStopped: () => this.#isStopped,
      signal: options.signal,
      onFault: options.onFault,
    })
  }

  /** Delivers to the subscription from the next event of the log on. */
  add(request: VisibilityRequest): QueuedSubscription {
    return this.#subscriptions.add(request, this.#options.log.position)
  }

  /** Every live event up to here has been delivered to the subscription, and none after it. Undefined: the log has not been read yet. */
  position({ key, from }: QueuedSubscription): Position | undefined {
    const slow = this.#slowViewers.get(key)
    const live = slow ? slow.held : this.#running ? this.#held : this.#options.log.position
    return live && latest(live, from)
  }

  take(event: LogEvent): void {
    if (this.#isLate || this.#isOver) return // if late, the event is read from the log later
    if (!this.#running) this.#held = this.#options.log.position
    this.#tail = appendEvent(this.#tail, event)
    if (this.#exceedsLimits(this.#taken, this.#tail)) {
      this.#taken.next = undefined
      this.#tail = this.#taken
      this.#isLate = true
    }
    this.#running ??= this.#run()
  }

  /** Ends all subscriptions. Nothing is delivered after this. */
  end(error: ListenqlError): void {
    this.#isOver = true
    this.#slowViewers.clear()
    for (const subscription of this.#subscriptions.clear()) {
      subscription.hasLeft = true
      subscription.follower.end(error)
    }
  }

  /** Stops the queue after its last subscription has left. */
  abandon(): void {
    this.#isOver = true
    this.#slowViewers.clear()
  }

  get isBusy(): boolean {
    return this.#running !== undefined || this.#slowViewers.size > 0
  }

  /**
   * Resolves once every waiting event has been delivered.
   * @param patience see `SlowViewers.settle`
   */
  async settle(patience: number): Promise<void> {
    await this.#running
    await this.#slowViewers.settle(patience)
  }

  #exceedsLimits(from: WaitingEvent, to: WaitingEvent): boolean {
    const { events, size } = this.#options.limits()
    return to.number - from.number > events || to.size - from.size > size
  }

  get #isStopped(): boolean {
    return this.#isOver || this.#options.signal.aborted
  }

  async #run(): Promise<void> {
    await setImmediate() // so that one query covers all events that the pump dispatches in one turn
    try {
      while (!this.#isStopped && (this.#isLate || this.#at.next)) {
        if (this.#at.next) await this.#deliverNextPage()
        else await this.#readOn()
      }
    } catch (error) {
      if (!this.#isStopped) this.#options.onFailure(error)
    }
    // In the same step in which the loop found no event left: from now on the position of the queue is that of the log.
    this.#running = undefined
  }

  /** Reads the events that were not kept from the log, until live events may wait in memory again. */
  async #readOn(): Promise<void> {
    const { log } = this.#options
    const livePosition = () => log.position
    if (!this.#held || !log.position) throw new Error('events wait although the log has not been read')
    for await (const { events, position } of pagesAfter(this.#held, after => this.#readLog(after))) {
      for (const event of events) this.#tail = appendEvent(this.#tail, event)
      while (!this.#isStopped && this.#at.next) await this.#deliverNextPage()
      if (this.#isStopped) return
      this.#held = position
      const isLevel = joinIfLevel(position, livePosition, () => {
        this.#isLate = false
      })
      if (isLevel) return
    }
  }

  /** The events of the table up to the live position only: after it the table may have other columns. */
  async #readLog(after: Position): Promise<ReplayPage<LogEvent>> {
    const { log, relid, signal } = this.#options
    const end = log.position as Position // once known, it stays known
    const page = await log.read(after, signal)
    const events = page.events.filter(({ kind, topic }) => kind === 't' && topic === relid)
    if (events.some(({ unreadable }) => unreadable !== undefined)) throw hole()
    const isDispatched = (position: Position) => comparePositions(position, end) <= 0
    return {
      events: events.filter(event => isDispatched(event.position)),
      position: isDispatched(page.position) ? page.position : end,
    }
  }

  /** The conditions that decide about these events, as they are now. Undefined: the events concern no subscription. */
  async #readConditions(events: readonly WaitingEvent[]): Promise<Conditions | undefined> {
    const { read, readConditions, signal } = this.#options
    if (!this.#subscriptions.mayConcern(events)) return undefined
    const first = events[0]?.event as LogEvent
    const table = read(first)?.table
    const conditions = table && (await readConditions(table, this.#subscriptions.roles, signal))
    return conditions && read(first)?.table === table ? conditions : NO_CONDITIONS
  }

  /** Finds the subscriptions that these events concern. @returns the viewers for which the policies have to be checked */
  #findInterest(page: readonly WaitingEvent[], conditions: Conditions): Map<string, Viewer> {
    this.#subscriptions.useConditions(conditions)
    const isQuick = (key: string) => !this.#slowViewers.get(key)
    const viewers = new Map<string, Viewer>()
    for (const each of page) {
      each.interest = this.#subscriptions.interestIn(each.event as LogEvent, isQuick)
      for (const { key, viewer } of each.interest?.subscriptions ?? [])
        if (isQuick(key)) viewers.set(key, viewer)
    }
    return viewers
  }

  /** Checks and delivers the next page for the viewers that advance together. */
  async #deliverNextPage(): Promise<void> {
    const begin = this.#at
    const held = this.#held as Position
    const until = this.#tail
    const conditions = await this.#readConditions(eventsBetween(begin, until, PAGE_EVENTS))
    if (this.#isStopped) return
    // In one step from here on: `take` may cut the chain of events after `#taken`. Only events from before the conditions were read:
    // later ones may follow a change of the policies.
    const page = eventsBetween(begin, until, PAGE_EVENTS)
    if (page.length === 0) return // too many events wait: they are read from the log
    const last = page.at(-1) as WaitingEvent
    this.#taken = last
    const viewers = conditions ? this.#findInterest(page, conditions) : new Map<string, Viewer>()
    const checked = page.filter(({ interest }) => interest?.subscriptions.some(({ key }) => viewers.has(key)))
    const views = new Map<string, StageView>()
    if (checked.length > 0) {
      const all = await this.#readViews([...viewers.values()], checked)
      if (this.#isStopped) return
      for (const [key, view] of all) {
        if (view instanceof Promise)
          this.#slowViewers.add(viewers.get(key) as Viewer, { key, at: begin, held, page, checked, view })
        else views.set(key, view)
        viewers.delete(key)
      }
    }
    if (viewers.size > 0) throw new TypeError('checkVisibility returned no answer for a viewer')
    const isDone = await this.#deliverPage({
      page,
      checked,
      withDecided: true,
      viewOf: ({ key }) => views.get(key),
      onDelivered: position => {
        this.#held = position
      },
      isStopped: () => this.#isStopped,
    })
    if (!isDone) return
    this.#at = last
    this.#slowViewers.passed(last)
  }
}
