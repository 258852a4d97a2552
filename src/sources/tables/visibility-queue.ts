import { setImmediate } from 'node:timers/promises'
import { type Viewer, viewerKey } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { EVERYTHING } from '../../filters/index.js'
import { delay } from '../../lib/abort.js'
import { ListenqlError } from '../../lib/errors.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import { hole } from '../../log/log-topics.js'
import { comparePositions, latest, type Position } from '../../log/position.js'
import { type CheckVisibility, viewsOf } from '../../rls/visibility.js'
import { joinIfLevel, pagesAfter, type ReplayPage } from '../resume.js'
import { Apart, type ApartOptions } from './apart.js'
import { createChangeIndex } from './change-index.js'
import { createChangeMatcher } from './change-matcher.js'
import { createHandOn, type HandOn, unreadable } from './hand-on.js'
import type { Present } from './present.js'
import { createStageViews, type StageView } from './stage-view.js'
import { createTellingView } from './telling-view.js'
import {
  appendEvent,
  beginChain,
  eventsBetween,
  type Interest,
  PAGE_EVENTS,
  type QueuedSubscription,
  type VisibilityRequest,
  type WaitingEvent,
} from './waiting-event.js'

export interface VisibilityQueueOptions {
  readonly relid: string
  readonly log: Pick<LogFollower, 'position' | 'read' | 'cursors'>
  readonly checkVisibility: CheckVisibility
  readonly read: (event: LogEvent) => { readonly table: WatchedTable; readonly images: Images } | undefined
  /** Undefined: no policy reads its own table. */
  readonly present: Present | undefined
  /** Most events that may wait at the moment, and characters of their images. */
  readonly limits: () => { readonly events: number; readonly size: number }
  readonly maxFilterWork: number
  /** Resolves when events may be handed on; undefined: now. */
  readonly paused: () => Promise<void> | undefined
  readonly signal: AbortSignal
  readonly onFault: (error: unknown) => void
  /** Nobody follows the table any more. */
  readonly onEmpty: () => void
  /** The log cannot be read on: all have to begin anew. */
  readonly onFailure: (error: unknown) => void
}

const MAX_SETTLE_ROUNDS = 5

const EVERY_CHANGE = createChangeMatcher({ filter: EVERYTHING, operations: undefined })

/**
 * The live events of one table with row-level security, which wait until it is known which viewer sees what of them. It asks
 * page by page, once for each viewer, about the events that the filters of the viewer's subscriptions may match.
 *
 * Viewers go on together, since asking for many at once is cheap; those for whom `checkVisibility` has no answer yet go on apart, each at
 * its own pace, until they are level with the others. What waits is bounded: if it becomes too much, the others read it from
 * the log again, and the subscriptions of viewers who are apart and too late end.
 */
export class VisibilityQueue {
  readonly #options: VisibilityQueueOptions
  readonly #index = createChangeIndex<QueuedSubscription>()
  readonly #subscriptions = new Map<string, Set<QueuedSubscription>>()
  readonly #apart = new Map<string, Apart>()
  readonly #handOn: HandOn
  #tail = beginChain()
  /** The last event that has been handed on to those who go on together, and the last one of the page that is on its way. */
  #at = this.#tail
  #taken = this.#tail
  /** While it runs: everything up to here has been handed on to them. */
  #held: Position | undefined
  /** Too many events waited: they are read from the log, until it is level. */
  #isLate = false
  #isOver = false
  #running: Promise<void> | undefined

  constructor(options: VisibilityQueueOptions) {
    this.#options = options
    this.#handOn = createHandOn(options)
  }

  /** From the next event of the log on. */
  add(request: VisibilityRequest): QueuedSubscription {
    const key = viewerKey(request.viewer, true)
    // Where policies read the table itself, what is told next depends on what was told before.
    const matcher = request.told ? EVERY_CHANGE : request.view.matcher
    const subscription: QueuedSubscription = {
      ...request,
      key,
      matcher,
      tell: createTellingView(request.view),
      from: latest(this.#options.log.position, request.after),
      leave: () => undefined,
      hasLeft: false,
    }
    const forget = this.#remember(subscription)
    const stop = this.#index.add(matcher, subscription)
    subscription.leave = () => {
      subscription.hasLeft = true
      stop()
      forget()
      if (this.#index.entries.size === 0) this.#options.onEmpty()
    }
    return subscription
  }

  /** All live events up to here have been handed on to this subscription, and none after it. */
  position({ key, from }: QueuedSubscription): Position | undefined {
    const apart = this.#apart.get(key)
    const live = apart ? apart.held : this.#running ? this.#held : this.#options.log.position
    return live && latest(live, from)
  }

  take(event: LogEvent): void {
    if (this.#isLate || this.#isOver) return // it will be read from the log
    if (!this.#running) this.#held = this.#options.log.position
    this.#tail = appendEvent(this.#tail, event)
    if (this.#isTooMuch(this.#taken, this.#tail)) {
      this.#taken.next = undefined
      this.#tail = this.#taken
      this.#isLate = true
    }
    this.#running ??= this.#run()
  }

  /** Nothing is handed on after this. */
  end(error: ListenqlError): void {
    this.#isOver = true
    this.#apart.clear()
    for (const subscription of this.#index.clear()) {
      subscription.hasLeft = true
      subscription.follower.end(error)
    }
  }

  /** Nobody follows it any more. */
  abandon(): void {
    this.#isOver = true
    this.#apart.clear()
  }

  get isBusy(): boolean {
    return this.#running !== undefined || this.#apart.size > 0
  }

  /**
   * Resolves once everything has been handed on.
   * @param patience if no viewer who is apart gets level for so many ms, or some are not after five times that, the
   * subscriptions of those who are left end
   */
  async settle(patience: number): Promise<void> {
    await this.#running
    let left = Number.POSITIVE_INFINITY
    for (
      let round = 0;
      round < MAX_SETTLE_ROUNDS && this.#apart.size > 0 && this.#apart.size < left;
      round++
    ) {
      left = this.#apart.size
      await this.#allApartOr(patience)
    }
    if (this.#options.signal.aborted) return this.#allApart()
    for (const apart of [...this.#apart.values()]) this.#endApart(apart)
  }

  async #allApartOr(ms: number): Promise<void> {
    const isDone = new AbortController()
    const waited = delay(ms, AbortSignal.any([this.#options.signal, isDone.signal]))
    await Promise.race([waited, this.#allApart()])
    isDone.abort()
  }

  async #allApart(): Promise<void> {
    await Promise.all([...this.#apart.values()].map(({ running }) => running))
  }

  #remember(subscription: QueuedSubscription): Stop {
    const subscriptions = this.#subscriptions.get(subscription.key) ?? new Set()
    subscriptions.add(subscription)
    this.#subscriptions.set(subscription.key, subscriptions)
    return () => {
      subscriptions.delete(subscription)
      if (subscriptions.size === 0 && this.#subscriptions.get(subscription.key) === subscriptions)
        this.#subscriptions.delete(subscription.key)
    }
  }

  #isTooMuch(from: WaitingEvent, to: WaitingEvent): boolean {
    const { events, size } = this.#options.limits()
    return to.number - from.number > events || to.size - from.size > size
  }

  get #isStopped(): boolean {
    return this.#isOver || this.#options.signal.aborted
  }

  async #run(): Promise<void> {
    await setImmediate() // what the log hands on in one go is asked about in one go
    try {
      while (!this.#isStopped && (this.#isLate || this.#at.next)) {
        if (this.#at.next) await this.#handOnPage()
        else await this.#readOn()
      }
    } catch (error) {
      if (!this.#isStopped) this.#options.onFailure(error)
    }
    // In the step in which nothing was left: from here on, its position is that of the log.
    this.#running = undefined
  }

  /** Reads from the log what was not kept, until live events may wait in memory again. */
  async #readOn(): Promise<void> {
    const { log } = this.#options
    const handedOn = () => log.position
    if (!this.#held || !log.position) throw new Error('a table waits for a log that was not read')
    for await (const { events, position } of pagesAfter(this.#held, after => this.#readLog(after))) {
      for (const event of events) this.#tail = appendEvent(this.#tail, event)
      while (!this.#isStopped && this.#at.next) await this.#handOnPage()
      if (this.#isStopped) return
      this.#held = position
      const isLevel = joinIfLevel(position, handedOn, () => {
        this.#isLate = false
      })
      if (isLevel) return
    }
  }

  /** Events of the table, no further than the log has been handed on: the columns may be others after that. */
  async #readLog(after: Position): Promise<ReplayPage<LogEvent>> {
    const { log, relid, signal } = this.#options
    const end = log.position as Position // once known, it stays
    const page = await log.read(after, signal)
    const events = page.events.filter(({ kind, topic }) => kind === 't' && topic === relid)
    if (events.some(({ unreadable }) => unreadable !== undefined)) throw hole()
    const isHandedOn = (position: Position) => comparePositions(position, end) <= 0
    return {
      events: events.filter(event => isHandedOn(event.position)),
      position: isHandedOn(page.position) ? page.position : end,
    }
  }

  /** Asks for those who go on together. */
  async #handOnPage(): Promise<void> {
    const begin = this.#at
    const held = this.#held as Position
    const page = eventsBetween(begin, undefined, PAGE_EVENTS)
    const last = page.at(-1) as WaitingEvent
    this.#taken = last
    const viewers = new Map<string, Viewer>()
    for (const each of page) {
      each.interest = this.#interestIn(each.event as LogEvent)
      for (const { key, viewer } of each.interest?.subscriptions ?? [])
        if (!this.#apart.has(key)) viewers.set(key, viewer)
    }
    const asked = page.filter(({ interest }) => interest?.subscriptions.some(({ key }) => viewers.has(key)))
    const views = new Map<string, StageView>()
    if (asked.length > 0) {
      const all = await this.#readViews([...viewers.values()], asked)
      if (this.#isStopped) return
      for (const [key, view] of all) {
        if (view instanceof Promise)
          this.#setApart(viewers.get(key) as Viewer, { key, at: begin, held, page, asked, view })
        else views.set(key, view)
        viewers.delete(key)
      }
    }
    if (viewers.size > 0) throw new TypeError('a viewer was forgotten')
    const isDone = await this.#handOn({
      page,
      asked,
      viewOf: ({ key }) => views.get(key),
      onHandedOn: position => {
        this.#held = position
      },
      isStopped: () => this.#isStopped,
    })
    if (!isDone) return
    this.#at = last
    for (const apart of [...this.#apart.values()]) {
      if (apart.at === last) this.#rejoin(apart)
      else if (this.#isTooMuch(apart.at, last)) this.#endApart(apart)
    }
  }

  #setApart(
    viewer: Viewer,
    from: Pick<ApartOptions, 'key' | 'at' | 'held' | 'page' | 'asked' | 'view'>,
  ): void {
    const apart: Apart = new Apart({
      ...from,
      viewer,
      readView: async asked =>
        (await this.#readViews([viewer], asked)).get(from.key) as StageView | Promise<StageView>,
      handOn: this.#handOn,
      taken: () => this.#taken,
      // Where a page is on its way to the others it waits for them: its position must not go back.
      onLevel: () => void (this.#at === apart.at && this.#rejoin(apart)),
      isStopped: () => this.#isStopped,
      onFailure: error => {
        this.#options.onFault(error)
        this.#endApart(apart, unreadable())
      },
    })
    this.#apart.set(from.key, apart)
  }

  #rejoin(apart: Apart): void {
    if (this.#apart.get(apart.key) === apart) this.#apart.delete(apart.key)
    apart.stop()
  }

  #endApart(apart: Apart, error: ListenqlError = tooLate()): void {
    this.#rejoin(apart)
    for (const subscription of [...(this.#subscriptions.get(apart.key) ?? [])]) {
      subscription.leave()
      subscription.follower.end(error)
    }
  }

  async #readViews(viewers: readonly Viewer[], asked: readonly WaitingEvent[]) {
    const { checkVisibility, present, signal } = this.#options
    const events = asked.map(({ interest }) => interest as Interest)
    const { table } = events[0] as Interest
    const stageView = createStageViews({ present, table, events, signal })
    const byKey = new Map(viewers.map(viewer => [viewerKey(viewer, true), viewer]))
    const views = new Map<string, StageView | Promise<StageView>>()
    for (const [key, view] of await viewsOf(checkVisibility, table, viewers, events, signal))
      views.set(key, stageView(byKey.get(key) as Viewer, key, view))
    return views
  }

  #interestIn(event: LogEvent): Interest | undefined {
    const read = this.#options.read(event)
    if (!read) return undefined
    const subscriptions: QueuedSubscription[] = []
    // Policies can only hide rows, so what the unrestricted rows may concern is a superset of the recipients.
    this.#index.visit(event, read.images, subscription => {
      const { from, matcher } = subscription
      if (from && comparePositions(event.position, from) <= 0) return
      if (matcher.mayConcern(event, read.images)) subscriptions.push(subscription)
    })
    return subscriptions.length > 0 ? { event, ...read, subscriptions } : undefined
  }
}

function tooLate(): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    'the row-level security of the table takes too long for this viewer: too many changes wait',
    { hint: 'subscribe again after the last cursor' },
  )
}
