import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../database/watched-table.js'
import { createImageReader, type ReadImage } from '../filters/index.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { type ChangeView, createChangeView, type Images } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import { comparePositions, endOfBatch, type Position } from './cursor.js'
import type { EventLog } from './event-log.js'
import type { LogEvent } from './log-event.js'
import type { Present } from './present.js'
import type { RowChange } from './row-change.js'
import { type Followed, RowStage } from './row-stage.js'
import { createJointLook, type Look, type ReadEvent } from './sight.js'
import { EventSource, type Follower, type Replay, type Stop } from './source.js'
import { createTableTopic, type TableTopic } from './table-topic.js'
import { createTellingView } from './telling-view.js'
import { createToldRows, type ToldRows, tellPast } from './told-rows.js'

export interface TablesOptions {
  readonly log: EventLog
  /** Says who may see what, for requests with a viewer. */
  readonly look?: Look
  /** Undefined: no policy reads its own table. */
  readonly present?: Present | undefined
  readonly observe: Observe
}

/** The changes of watched tables, out of the event log. */
export interface Tables {
  changes(table: WatchedTable, request: ChangesRequest): EventSource<RowChange>
  /**
   * What is watched from here on in the log, in the generations of here.
   * @param isReached see `reached`
   */
  adopt(tables: readonly WatchedTable[], isReached: boolean): void
  /** The log has been handed on up to where the histories of all tables begin. */
  reached(): void
  /** The generation that is known of a table; undefined if it is not watched. */
  generationOf(relid: string): number | undefined
  /** Everybody has been told all that the log has handed on: at once (undefined), or once this resolves. */
  settled(): Promise<void> | undefined
  /** Stops and continues handing on what waits for `look`. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

interface Adopted {
  readonly table: WatchedTable
  readonly read: ReadImage
  /** Parsed once, for all who look at an event: live, and while several that come back are at the same page. */
  readonly images: WeakMap<LogEvent, Images>
  /** The same for pages of the log. */
  readonly pages: WeakMap<readonly LogEvent[], readonly ReadEvent[]>
}

/** What a page of the log tells one who comes back. */
type Past = (page: readonly LogEvent[], signal: AbortSignal | undefined) => Promise<RowChange[]>

export function createTables({ log, look = nobodySees, present, observe }: TablesOptions): Tables {
  const adopted = new Map<string, Adopted>()
  const topics = new Map<string, { readonly topic: TableTopic; readonly stop: Stop }>()
  const pageTimes = new WeakMap<readonly LogEvent[], number>()
  let isReached = true
  const stop = new AbortController()
  const see = createJointLook(look, stop.signal)
  const stage = new RowStage({
    log,
    look,
    read(event) {
      const entry = adopted.get(event.topic)
      return entry && { table: entry.table, images: imagesOf(entry, event) }
    },
    present,
    observe,
  })

  function imagesOf({ images, read }: Adopted, event: LogEvent): Images {
    let found = images.get(event)
    if (!found) {
      found = {
        row: event.new === null ? null : read(event.new),
        old: event.old === null ? null : read(event.old),
      }
      images.set(event, found)
    }
    return found
  }

  /** The topic's followers share one place in the log. */
  function follow(
    relid: string,
    request: ChangesRequest,
    view: ChangeView,
    follower: Follower<RowChange>,
  ): Stop {
    let topic = topics.get(relid)
    if (!topic) {
      const founded = createTableTopic(error =>
        observe({ type: 'fault', id: 'event log', message: 'an event could not be handled', error }),
      )
      const stop = log.follow('t', relid, {
        event(event) {
          const entry = adopted.get(relid)
          if (entry) founded.event(event, imagesOf(entry, event))
        },
        lost(error) {
          if (topics.get(relid)?.topic === founded) topics.delete(relid)
          founded.end(error)
        },
      })
      topic = { topic: founded, stop }
      topics.set(relid, topic)
    }
    const { topic: joined, stop } = topic
    const leave = joined.add(request, view, follower)
    return () => {
      leave()
      if (joined.size > 0 || topics.get(relid)?.topic !== joined) return
      topics.delete(relid)
      stop()
    }
  }

  /** Whether an event is of columns that are not known yet; what is live learns of them when it comes there. */
  function isAhead(event: LogEvent, relid: string): boolean {
    if (event.kind !== 't' || event.topic !== relid) return false
    const known = adopted.get(relid)?.table.generation
    return (
      known !== undefined &&
      event.generation > known &&
      log.position !== undefined &&
      comparePositions(event.position, log.position) > 0
    )
  }

  /** Where the history of a table begins. */
  function beginning(relid: string): Position {
    const entry = adopted.get(relid)
    if (!entry) throw notWatched()
    return endOfBatch(entry.table.since)
  }

  /** What of a page of the log concerns a table. The same array for everybody who reads the page. */
  function readEvents(relid: string, page: readonly LogEvent[]): readonly ReadEvent[] {
    const entry = adopted.get(relid)
    if (!entry) return []
    let events = entry.pages.get(page)
    if (!events) {
      events = page
        .filter(({ kind, topic }) => kind === 't' && topic === relid)
        .map(event => ({ event, images: imagesOf(entry, event) }))
      entry.pages.set(page, events)
    }
    return events
  }

  /** A moment after a page was read, the same for everybody who comes to it. */
  function readAt(page: readonly LogEvent[]): number {
    const known = pageTimes.get(page) ?? performance.now()
    pageTimes.set(page, known)
    return known
  }

  /** The past as everybody sees it. */
  function createPast(relid: string, view: ChangeView): Past {
    /** Who comes back to the same page gets the same objects: what is made of them later is made once. */
    const changes = new WeakMap<LogEvent, { readonly change: RowChange | undefined }>()
    return async page =>
      readEvents(relid, page).flatMap(({ event, images }) => {
        const seen = changes.get(event) ?? { change: view(event, images) }
        changes.set(event, seen)
        return seen.change ?? []
      })
  }

  /** The past as far as a viewer may see it. */
  function createPastFor(viewer: Viewer, relid: string, request: ChangesRequest): Past {
    const view = createChangeView(request)
    const tell = createTellingView(request)
    const asking = new WeakMap<readonly LogEvent[], Promise<RowChange[]>>()
    async function tellAll(
      table: WatchedTable,
      events: readonly ReadEvent[],
      seen: readonly Images[],
    ): Promise<RowChange[]> {
      const images = events.flatMap(({ images: { row, old } }) => row ?? old ?? [])
      const rows = (await present?.rows(table, viewer, images, stop.signal)) ?? new Map()
      const readable = (await present?.readable(table, viewer)) ?? []
      return events.flatMap(
        ({ event, images: whole }, i) =>
          tell(event, whole, tellPast(table.key, readable, whole, seen[i] as Images, rows)) ?? [],
      )
    }
    async function ask(page: readonly LogEvent[]): Promise<RowChange[]> {
      const events = readEvents(relid, page)
      const table = adopted.get(relid)?.table
      if (!table || !events.some(({ event, images }) => view(event, images))) return []
      const seen = await see(table, viewer, events)
      if (present?.isNeeded(table, viewer)) return tellAll(table, events, seen)
      return events.flatMap(({ event }, i) => {
        const images = seen[i] as Images
        return images.row || images.old || event.operation === 'T' ? (view(event, images) ?? []) : []
      })
    }
    return (page, signal) => {
      const asked = asking.get(page) ?? ask(page).finally(() => asking.delete(page))
      asking.set(page, asked)
      return abortable(asked, signal)
    }
  }

  function createReplay(
    relid: string,
    past: Past,
    live: () => Position | undefined,
    recheck: ChangesRequest['recheck'],
  ): Replay<RowChange> {
    const position = () => live() ?? beginning(relid)
    return {
      position,
      start() {
        const begins = beginning(relid)
        const at = live() ?? begins
        // What was altered is adopted at its first event, which may stand before the new history: until all up to there has
        // been handed on, its beginning would be ahead of what was told.
        return isReached && comparePositions(begins, at) > 0 ? begins : at
      },
      async read(after, signal) {
        for (;;) {
          assertAfter(after, beginning(relid))
          const page = await log.read(after, signal)
          // By rights that are no older than what was read.
          if (recheck && page.events.some(({ kind, topic }) => kind === 't' && topic === relid))
            await recheck(readAt(page.events), signal)
          // Looked at again: the table may have been altered while the page was read.
          assertAfter(after, beginning(relid))
          const ahead = page.events.find(event => isAhead(event, relid))
          if (!ahead) return { ...page, events: await past(page.events, signal) }
          await log.reached(ahead.position, signal)
        }
      },
      seam: () => [],
    }
  }

  /** What a viewer sees when a subscription begins, where policies read the table itself. */
  async function beginTelling(
    table: WatchedTable,
    viewer: Viewer,
    signal?: AbortSignal,
  ): Promise<{ readonly told: ToldRows; readonly position: Position } | undefined> {
    if (!present?.isNeeded(table, viewer)) return undefined
    const readable = await present.readable(table, viewer)
    const { keys, position } = await present.keys(table, viewer, signal)
    return { told: createToldRows({ key: table.key, readable, keys, position }), position }
  }

  /** What has changed between the snapshot and the first event that the stage hands on. */
  async function changesBetween(
    relid: string,
    after: Position,
    until: Position | undefined,
  ): Promise<Images[]> {
    const found: Images[] = []
    for (let at = after; until && comparePositions(at, until) < 0; ) {
      const page = await log.read(at, stop.signal)
      for (const { event, images } of readEvents(relid, page.events))
        if (comparePositions(event.position, until) <= 0) found.push(images)
      if (comparePositions(page.position, at) <= 0) break
      at = page.position
    }
    return found
  }

  return {
    changes(table, request) {
      const { relid } = table
      const { viewer, guard, recheck } = request
      const view = createChangeView(request)
      let staged: Followed | undefined
      const past = viewer ? createPastFor(viewer, relid, request) : createPast(relid, view)
      const replay = createReplay(relid, past, () => (staged ? staged.position() : log.position), recheck)
      return new EventSource<RowChange>(
        { kind: 'table', name: table.schema === 'public' ? table.name : `${table.schema}.${table.name}` },
        {
          after: request.after,
          audience: viewer && viewerKey(viewer, true),
          async open(follower, signal) {
            // Guarded first: what is read of the log from then on is looked at, what was read before is waited for.
            let end: (error: ListenqlError) => void = error => {
              refusal = error
            }
            let refusal: ListenqlError | undefined
            const guarded = guard?.(error => end(error))
            try {
              if (guarded?.ready) await guarded.ready
            } catch (error) {
              guarded?.stop()
              throw error
            }
            if (refusal) throw refusal
            let leave: Stop
            if (viewer) {
              const begun = await beginTelling(table, viewer, signal).catch((error: unknown) => {
                guarded?.stop()
                throw error
              })
              if (refusal) throw refusal
              staged = stage.follow(relid, { viewer, request, view, follower, told: begun?.told })
              leave = staged.stop
              try {
                if (begun) begun.told.settle(await changesBetween(relid, begun.position, staged.from))
              } catch (error) {
                leave()
                throw error
              }
            } else leave = follow(relid, request, view, follower)
            end = error => {
              leave()
              follower.end(error)
            }
            return () => {
              guarded?.stop()
              leave()
            }
          },
          live: () => Promise.resolve(), // through an outage the log keeps what happens
          positionOf: change => change.position,
          replay: () => replay,
        },
      )
    },
    adopt(tables, areReached) {
      isReached = areReached
      const former = new Map(adopted)
      adopted.clear()
      for (const table of tables) {
        adopted.set(table.relid, {
          table,
          read: createImageReader(table.columns),
          images: new WeakMap(),
          pages: new WeakMap(),
        })
      }
      for (const [relid, { table: known }] of former) {
        const now = adopted.get(relid)?.table
        if (now && now.wholeFrom <= known.generation) continue // whoever follows it has missed nothing
        const isBack = tables.some(({ schema, name }) => schema === known.schema && name === known.name)
        log.end('t', relid, isBack ? begunAnew() : notWatched())
      }
    },
    reached() {
      isReached = true
    },
    generationOf: relid => adopted.get(relid)?.table.generation,
    settled: () => stage.drained(),
    pause: () => stage.pause(),
    resume: () => stage.resume(),
    async close() {
      stop.abort()
      await stage.close()
    },
  }
}

function assertAfter(after: Position, begins: Position): void {
  if (comparePositions(after, begins) < 0) throw begunAnew()
}

function begunAnew(): ListenqlError {
  return new ListenqlError('CURSOR_EXPIRED', 'the history of this table begins later than this cursor', {
    hint: 'the table was altered or watched anew: read a snapshot, and subscribe after its cursor',
  })
}

function notWatched(): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', 'this table is not watched any more', {
    hint: 'read the schema again',
  })
}

const nobodySees: Look = async () => {
  throw new TypeError('nothing was given that says who may see what')
}
