import { setImmediate } from 'node:timers/promises'
import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../database/watched-table.js'
import { EVERYTHING, type RowImage } from '../filters/index.js'
import { createDeferred, type Deferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { type ChangeView, createInterest, type Images } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import { comparePositions, type Position } from './cursor.js'
import type { EventLog } from './event-log.js'
import type { LogEvent } from './log-event.js'
import { type Present, readsItselfMeanwhile } from './present.js'
import type { RowChange } from './row-change.js'
import { type Look, lookAt, type ReadEvent, type Views } from './sight.js'
import type { Follower, Stop } from './source.js'
import { createTableTopic, type TableTopic } from './table-topic.js'
import { createTellingView } from './telling-view.js'
import type { PresentRows, ToldRows } from './told-rows.js'

export interface RowStageOptions {
  readonly log: Pick<EventLog, 'position' | 'follow' | 'read'>
  readonly look: Look
  /** The table as it is known, and the rows of an event of it; undefined if it is not watched any more. */
  readonly read: (event: LogEvent) => { readonly table: WatchedTable; readonly images: Images } | undefined
  /** Most events that wait in memory, and most characters of their images; beyond that they are read from the log again. */
  readonly maxWaiting?: number
  readonly maxWaitingSize?: number
  /** Undefined: no policy reads its own table. */
  readonly present?: Present | undefined
  readonly observe: Observe
}

/** Who follows a table as a viewer sees it. */
export interface StageRequest {
  readonly viewer: Viewer
  readonly request: ChangesRequest
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  /** Where policies read the table itself: what was told so far. */
  readonly told?: ToldRows | undefined
}

export interface Followed {
  /** What is behind this position in the log is handed on; undefined if the log was not read. */
  readonly from: Position | undefined
  /** All live events up to here have been handed on to this follower, and none behind it; undefined if the log is not read yet. */
  position(): Position | undefined
  readonly stop: Stop
}

interface Place extends StageRequest {
  readonly key: string
  readonly isConcerned: (event: LogEvent, images: Images) => boolean
  readonly tell: ReturnType<typeof createTellingView>
  /** Where the log was when it joined: what was on its way then is not for it. */
  readonly from: Position | undefined
  leave: Stop
  hasLeft: boolean
}

interface StagedTable {
  readonly topic: TableTopic
  readonly stop: Stop
}

type PresentByViewer = ReadonlyMap<string, PresentRows | ListenqlError>

/** An event, and those who would be told of it if they may see it. */
interface Interest extends ReadEvent {
  readonly places: readonly Place[]
}

const EVERY_CHANGE: ChangesRequest = { filter: EVERYTHING, operations: undefined, after: undefined }

/** Events about which is asked at once. */
const PAGE = 250
/** After so many events in a row others get their turn. */
const SLICE = 100

/**
 * Where live events of tables with row-level security wait until it is known who sees what of them. Those who follow without
 * it are not held up. It asks page by page, once for each viewer however many subscriptions they have, and only for those whose
 * filters may match; it hands events on in the order of the log, and has a position of its own, behind that of the log. What
 * waits is bounded: once it lags too far it forgets what waits and reads it from the log again, until it is level.
 */
export class RowStage {
  readonly #options: RowStageOptions
  readonly #tables = new Map<string, StagedTable>()
  readonly #stop = new AbortController()
  /** Those who want the event that is being looked at. */
  #interested: Place[] = []
  #queue: LogEvent[] = []
  #size = 0
  /** While it runs: everything up to here has been handed on. */
  #held: Position | undefined
  #isBehind = false
  #running: Promise<void> | undefined
  /** How often all that was followed was lost: what was on its way before does not count. */
  #histories = 0
  #paused: Deferred | undefined

  constructor(options: RowStageOptions) {
    this.#options = options
  }

  /** From the next event of the log on. */
  follow(relid: string, request: StageRequest): Followed {
    const { topic } = this.#provide(relid)
    const place: Place = {
      ...request,
      key: viewerKey(request.viewer, true),
      // What is told next depends on what was told before.
      isConcerned: createInterest(request.told ? EVERY_CHANGE : request.request),
      tell: createTellingView(request.request),
      from: this.#options.log.position,
      leave: () => undefined,
      hasLeft: false,
    }
    const stop = topic.add(
      request.told ? EVERY_CHANGE : request.request,
      (event, images) => this.#collect(place, event, images),
      {
        event: () => undefined,
        end(error) {
          place.hasLeft = true
          request.follower.end(error)
        },
      },
    )
    place.leave = () => {
      place.hasLeft = true
      stop()
      this.#release(relid, topic)
    }
    return {
      from: place.from,
      position: () => {
        const live = this.#running ? this.#held : this.#options.log.position
        return live && place.from && comparePositions(place.from, live) > 0 ? place.from : live
      },
      stop: place.leave,
    }
  }

  /** Resolves once all has been handed on that the log has; undefined if it has been. */
  drained(): Promise<void> | undefined {
    return this.#running
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
    await this.#running
  }

  #provide(relid: string): StagedTable {
    const known = this.#tables.get(relid)
    if (known) return known
    const topic = createTableTopic(error => this.#fault(error))
    const stop = this.#options.log.follow('t', relid, {
      event: event => this.#take(event),
      lost: error => this.#lose(relid, topic, error),
    })
    const table = { topic, stop }
    this.#tables.set(relid, table)
    return table
  }

  #release(relid: string, topic: TableTopic): void {
    const table = this.#tables.get(relid)
    if (table?.topic !== topic || topic.size > 0) return
    this.#tables.delete(relid)
    table.stop()
  }

  #lose(relid: string, topic: TableTopic, error: ListenqlError): void {
    if (this.#tables.get(relid)?.topic === topic) this.#tables.delete(relid)
    if (this.#tables.size === 0) {
      this.#histories++
      this.#forget()
      this.#isBehind = false
    }
    topic.end(error)
  }

  #forget(): void {
    this.#queue = []
    this.#size = 0
  }

  /** What a filter lets through of whole images is all that it could let through of what can be seen of them. */
  #collect(place: Place, event: LogEvent, images: Images): undefined {
    if (place.from && comparePositions(event.position, place.from) <= 0) return
    if (place.isConcerned(event, images)) this.#interested.push(place)
  }

  #take(event: LogEvent): void {
    const { log, maxWaiting = 5000, maxWaitingSize = 2 ** 25 } = this.#options
    if (this.#isBehind) return // it will be read from the log
    if (!this.#running) this.#held = log.position
    this.#queue.push(event)
    this.#size += sizeOf(event)
    if (this.#queue.length > maxWaiting || this.#size > maxWaitingSize) {
      this.#forget()
      this.#isBehind = true
    }
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    await setImmediate() // what the log hands on in one go is asked about in one go
    while (!this.#stop.signal.aborted && (this.#isBehind || this.#queue.length > 0)) {
      const histories = this.#histories
      try {
        if (this.#isBehind) await this.#readOn(histories)
        else {
          const page = this.#queue.splice(0, PAGE)
          for (const event of page) this.#size -= sizeOf(event)
          await this.#handOn(page, histories)
        }
      } catch (error) {
        if (this.#stop.signal.aborted) break
        if (histories === this.#histories) this.#fail(error)
      }
    }
    // In the step in which nothing was left: from here on, its position is that of the log.
    this.#running = undefined
  }

  /** A page out of the log; no further than the log has been handed on, since columns may be others behind that. */
  async #readOn(histories: number): Promise<void> {
    const { log } = this.#options
    const after = this.#held
    const end = log.position
    if (!after || !end) throw new Error('the stage is behind a log that was not read')
    const page = await log.read(after, this.#stop.signal)
    await this.#handOn(
      page.events.filter(event => event.kind === 't' && comparePositions(event.position, end) <= 0),
      histories,
    )
    if (histories !== this.#histories) return
    this.#held = comparePositions(page.position, end) > 0 ? end : page.position
    if (log.position && comparePositions(this.#held, log.position) >= 0) this.#isBehind = false
  }

  async #handOn(events: readonly LogEvent[], histories: number): Promise<void> {
    const tables = new Map<string, { readonly table: WatchedTable; readonly events: Interest[] }>()
    for (const event of events) {
      const read = this.#tables.has(event.topic) ? this.#options.read(event) : undefined
      const interest = read && this.#interestIn(event, read.images)
      if (!interest) continue
      const known = tables.get(event.topic) ?? { table: read.table, events: [] }
      tables.set(event.topic, known)
      known.events.push(interest)
    }
    const views = new Map<string, Views>()
    const presents = new Map<string, PresentByViewer>()
    await Promise.all(
      [...tables].map(async ([relid, { table, events: of }]) => {
        const viewers = new Map(of.flatMap(({ places }) => places.map(({ key, viewer }) => [key, viewer])))
        const { look } = this.#options
        views.set(relid, await lookAt(look, table, [...viewers.values()], of, this.#stop.signal))
        presents.set(relid, await this.#presentRows(table, of))
      }),
    )
    const counts = new Map<string, number>()
    for (const [i, event] of events.entries()) {
      if (this.#paused) await this.#paused.promise
      if (histories !== this.#histories || this.#stop.signal.aborted) return
      const at = counts.get(event.topic) ?? 0
      const interest = tables.get(event.topic)?.events[at]
      if (interest?.event === event) {
        counts.set(event.topic, at + 1)
        for (const place of interest.places)
          this.#show(place, interest, at, views.get(event.topic), presents.get(event.topic))
      }
      this.#held = event.position
      if (i % SLICE === SLICE - 1) await setImmediate()
    }
  }

  #interestIn(event: LogEvent, images: Images): Interest | undefined {
    this.#interested = []
    this.#tables.get(event.topic)?.topic.event(event, images)
    const places = this.#interested
    return places.length > 0 ? { event, images, places } : undefined
  }

  /** For each viewer whose policies read the table itself, what they see of it now; or why that is not to be had. */
  async #presentRows(table: WatchedTable, events: readonly Interest[]): Promise<PresentByViewer> {
    const { present } = this.#options
    const wanted = new Map<string, { readonly viewer: Viewer; readonly images: RowImage[] }>()
    for (const { images, places } of events) {
      for (const { key, viewer } of places) {
        if (!present?.isNeeded(table, viewer)) continue
        const of = wanted.get(key) ?? { viewer, images: [] }
        wanted.set(key, of)
        const image = images.row ?? images.old
        if (image && of.images.at(-1) !== image) of.images.push(image)
      }
    }
    const found = new Map<string, PresentRows | ListenqlError>()
    const all = [...wanted].map(async ([key, { viewer, images }]) => {
      try {
        found.set(key, (await present?.rows(table, viewer, images, this.#stop.signal)) ?? new Map())
      } catch (error) {
        if (!(error instanceof ListenqlError)) throw error
        found.set(key, error)
      }
    })
    await Promise.all(all)
    return found
  }

  #show(
    place: Place,
    { event, images: whole }: Interest,
    at: number,
    views: Views | undefined,
    presents: PresentByViewer | undefined,
  ): void {
    if (place.hasLeft) return
    const present = presents?.get(place.key)
    const seen = present instanceof ListenqlError ? present : views?.get(place.key)
    try {
      if (seen === undefined) throw new TypeError('a viewer was forgotten')
      if (present && !place.told) throw readsItselfMeanwhile()
      if (seen instanceof ListenqlError) {
        place.leave()
        return place.follower.end(seen)
      }
      const images = seen[at] as Images
      let change: RowChange | undefined
      if (present && place.told)
        change = place.tell(event, whole, place.told.next(event, whole, images, present as PresentRows))
      else if (images.row || images.old || event.operation === 'T') change = place.view(event, images)
      if (change) place.follower.event(change)
    } catch (error) {
      const isTold = error instanceof ListenqlError
      if (!isTold) this.#fault(error)
      place.leave()
      place.follower.end(isTold ? error : unreadable())
    }
  }

  #fault(error: unknown): void {
    this.#options.observe({ type: 'fault', id: 'row stage', message: 'an event could not be handled', error })
  }

  /** The log has no more what lies between, or something unforeseen: all begin anew. */
  #fail(error: unknown): void {
    const isTold = error instanceof ListenqlError
    if (!isTold) this.#fault(error)
    for (const [relid, { stop, topic }] of [...this.#tables]) {
      stop()
      this.#lose(relid, topic, isTold ? error : unreadable())
    }
  }
}

function sizeOf({ new: row, old }: LogEvent): number {
  return (row?.length ?? 0) + (old?.length ?? 0)
}

function unreadable(): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read')
}
