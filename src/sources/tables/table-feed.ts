import { type Viewer, viewerKey } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { createImageReader, type ReadImage, Work } from '../../filters/index.js'
import { abortable } from '../../lib/abort.js'
import { createDeferred } from '../../lib/deferred.js'
import { ListenqlError } from '../../lib/errors.js'
import type { Account } from '../../lib/limits/account.js'
import type { Observe } from '../../lib/observation.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import { hole } from '../../log/log-topics.js'
import { comparePositions, endOfBatch, type Position } from '../../log/position.js'
import { type CheckVisibility, createBatchedView, type ReadEvent } from '../../rls/visibility.js'
import type { Replay } from '../resume.js'
import { EventSource, type Follower } from '../source.js'
import { type ChangeView, createChangeView, viewAt, viewVisible } from './change-view.js'
import type { AuthorisedChangesRequest, ChangesRequest } from './changes-request.js'
import type { Present } from './present.js'
import type { RowChange } from './row-change.js'
import { createTableTopic, type TableTopic } from './table-topic.js'
import { createTellingView } from './telling-view.js'
import { createToldRows, type ToldRows, tellPast } from './told-rows.js'
import { type Followed, VisibilityQueues } from './visibility-queues.js'

export interface TablesOptions {
  readonly log: LogFollower
  /** Says who may see what, for requests with a viewer. */
  readonly checkVisibility?: CheckVisibility
  /** Undefined: no policy reads its own table. */
  readonly present?: Present | undefined
  /** Most steps that a filter may take for one event. Default: any number. */
  readonly maxFilterWork?: number
  /** See RowStage. */
  readonly maxWaiting?: number
  /**
   * Looks at the catalogue because an event of the log carries this generation of a table, and resolves with the generation that
   * is known then; undefined: it has no history. Default: nothing more is to be known.
   */
  readonly refresh?: (relid: string, generation: number) => Promise<number | undefined>
  readonly observe: Observe
}

/** The changes of watched tables, out of the event log. */
export interface Tables {
  changes(table: WatchedTable, request: AuthorisedChangesRequest): EventSource<RowChange>
  /**
   * What is watched from here on in the log, in the generations of here.
   * @param isReached see `reached`
   * @param paused oids of tables that are watched and have no whole history at the moment. Default: none
   */
  switchTo(tables: readonly WatchedTable[], isReached: boolean, paused?: readonly string[]): void
  /** The log has been handed on up to where the histories of all tables begin. */
  reached(): void
  /** The generation that is known of a table; undefined if it is not watched. */
  generationOf(relid: string): number | undefined
  /** Everybody has been told all that the log has handed on: at once (undefined), or once this resolves. */
  settled(): Promise<void> | undefined
  /** Stops and continues handing on what waits for `checkVisibility`. */
  pause(): void
  resume(): void
  /** Idempotent. */
  close(): Promise<void>
}

interface CurrentTable {
  readonly table: WatchedTable
  readonly read: ReadImage
  /** Parsed once, for all who look at an event: live, and while several that come back are at the same page. */
  readonly images: WeakMap<LogEvent, Images>
  /** The same for pages of the log. */
  readonly pages: WeakMap<readonly LogEvent[], readonly ReadEvent[]>
}

/** What a page of the log tells one who comes back. */
type Past = (
  page: readonly LogEvent[],
  signal: AbortSignal | undefined,
  account: Account | undefined,
) => Promise<RowChange[]>

/** After so many steps of looking at the past others have their turn. */
const REPLAY_STEPS = 1_000_000

export function createTables({
  log,
  checkVisibility = nobodySees,
  present,
  maxFilterWork = Number.POSITIVE_INFINITY,
  maxWaiting,
  refresh,
  observe,
}: TablesOptions): Tables {
  const current = new Map<string, CurrentTable>()
  /** Names of tables that were watched once, by oid. */
  const former = new Map<string, string>()
  let paused = new Set<string>()
  /** The newest generation of each table that the catalogue was asked for in vain. */
  const unknown = new Map<string, number>()
  /** Resolves when something else is adopted. */
  let switched = createDeferred()
  const topics = new Map<string, { readonly topic: TableTopic; readonly stop: Stop }>()
  const pageTimes = new WeakMap<readonly LogEvent[], number>()
  let isReached = true
  const stop = new AbortController()
  const see = createBatchedView(checkVisibility, stop.signal)
  const visibility = new VisibilityQueues({
    log,
    checkVisibility,
    read(event) {
      const entry = current.get(event.topic)
      return entry && { table: entry.table, images: imagesOf(entry, event) }
    },
    present,
    maxFilterWork,
    ...(maxWaiting !== undefined && { maxWaiting }),
    observe,
  })

  function imagesOf({ images, read }: CurrentTable, event: LogEvent): Images {
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
      const founded = createTableTopic(
        error => observe({ type: 'fault', id: 'event log', message: 'an event could not be handled', error }),
        new Work(maxFilterWork),
      )
      const stop = log.follow('t', relid, {
        event(event) {
          const entry = current.get(relid)
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
    const known = current.get(relid)?.table.generation
    return (
      known !== undefined &&
      event.generation > known &&
      log.position !== undefined &&
      comparePositions(event.position, log.position) > 0
    )
  }

  /** Why a table has no history any more: another one goes by its name, its own will begin anew, or it is not watched. */
  function goneOf(relid: string): ListenqlError {
    const name = former.get(relid)
    const isReplaced = name !== undefined && [...current.values()].some(({ table }) => nameOf(table) === name)
    if (isReplaced) return begunAnew()
    return paused.has(relid) ? notWhole() : notWatched()
  }

  /** Ends what is live and shows or asks for a column whose values mean something else since a generation. */
  function endChanged(relid: string, { columnFrom = {} }: WatchedTable, since: number): void {
    const changed = new Set(Object.keys(columnFrom).filter(name => (columnFrom[name] as number) > since))
    if (changed.size === 0) return
    const known = topics.get(relid)
    known?.topic.endWhere(
      ({ used, usesKey }) => used.some(name => changed.has(name)) || (usesKey && changed.has('')),
      begunAnew(),
    )
    if (known?.topic.size === 0) {
      topics.delete(relid)
      known.stop()
    }
    visibility.end(relid, begunAnew()) // what policies look at is not known
  }

  /**
   * Whether the past has an event of a generation that nobody has noticed yet, as of a partition that came and went while no server
   * ran: then the history has ended there.
   */
  async function isUnnoticed(
    { generation }: LogEvent,
    relid: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const known = current.get(relid)?.table.generation
    if (!refresh || known === undefined || generation <= Math.max(known, unknown.get(relid) ?? 0))
      return false
    const now = await refresh(relid, generation)
    if (now === undefined) return true
    if (now >= generation) {
      // A client that is told begins anew at once, and must find the new history then.
      while (!stop.signal.aborted && (current.get(relid)?.table.generation ?? now) < generation)
        await abortable(switched.promise, signal)
      return true
    }
    unknown.set(relid, generation) // it may not be refreshed: the former columns must do
    return false
  }

  /** Where the history of a table begins. */
  function beginning(relid: string): Position {
    const entry = current.get(relid)
    if (!entry) throw goneOf(relid)
    return endOfBatch(entry.table.since)
  }

  /** What of a page of the log concerns a table. The same array for everybody who reads the page. */
  function readEvents(relid: string, page: readonly LogEvent[]): readonly ReadEvent[] {
    const entry = current.get(relid)
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

  /** What a view makes of events. Others have their turn in between: a page may be long, and what a filter looks through, too. */
  async function viewAll<Each extends ReadEvent>(
    events: Iterable<Each>,
    checkVisibility: (each: Each, work: Work) => RowChange | undefined,
  ): Promise<RowChange[]> {
    const changes: RowChange[] = []
    const work = new Work(maxFilterWork)
    let steps = 0
    for (const each of events) {
      work.begin()
      const change = checkVisibility(each, work)
      if (change) changes.push(change)
      steps += work.steps
      if (steps < REPLAY_STEPS) continue
      steps = 0
      await new Promise(resolve => setImmediate(resolve))
    }
    return changes
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
    return (page, _signal, account) =>
      viewAll(readEvents(relid, page), ({ event, images }, work) => {
        let seen = changes.get(event)
        if (!seen) {
          seen = { change: viewAt(account, view, event, images, work) }
          changes.set(event, seen)
        }
        return seen.change
      })
  }

  /** The past as far as a viewer may see it. */
  function createPastFor(viewer: Viewer, relid: string, view: ChangeView): Past {
    const asking = new WeakMap<readonly LogEvent[], Promise<RowChange[]>>()
    const tell = createTellingView(view)
    /** Where policies read the table itself. */
    async function tellAll(
      table: WatchedTable,
      events: readonly ReadEvent[],
      seen: readonly Images[],
      account: Account | undefined,
    ): Promise<RowChange[]> {
      const images = events.flatMap(({ images: { row, old } }) => row ?? old ?? [])
      const rows = (await present?.rows(table, viewer, images, stop.signal)) ?? new Map()
      const readable = (await present?.readable(table, viewer)) ?? []
      const tellings = events.map((each, i) => ({
        ...each,
        telling: tellPast(table.key, readable, each.images, seen[i] as Images, rows),
      }))
      return viewAll(tellings, ({ event, images: whole, telling }, work) =>
        tell(account, event, whole, telling, work),
      )
    }
    async function ask(page: readonly LogEvent[], account: Account | undefined): Promise<RowChange[]> {
      const events = readEvents(relid, page)
      const table = current.get(relid)?.table
      if (!table || !events.some(({ event, images }) => view.matcher.mayConcern(event, images))) return []
      const seen = await see(table, viewer, events)
      if (present?.isNeeded(table, viewer)) return tellAll(table, events, seen, account)
      const visible = events.map(({ event }, i) => ({ event, images: seen[i] as Images }))
      return viewAll(visible, ({ event, images }, work) => viewVisible(account, view, event, images, work))
    }
    return (page, signal, account) => {
      const asked = asking.get(page) ?? ask(page, account).finally(() => asking.delete(page))
      asking.set(page, asked)
      return abortable(asked, signal)
    }
  }

  function createReplay(
    relid: string,
    past: Past,
    live: () => Position | undefined,
    recheck: AuthorisedChangesRequest['recheck'],
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
      async read(after, signal, account) {
        for (;;) {
          assertAfter(after, beginning(relid))
          const page = await log.read(after, signal)
          // By rights that are no older than what was read.
          if (recheck && page.events.some(({ kind, topic }) => kind === 't' && topic === relid))
            await recheck(readAt(page.events), signal)
          // Looked at again: the table may have been altered while the page was read.
          assertAfter(after, beginning(relid))
          if (page.events.some(event => isHole(event, relid))) throw hole()
          const newest = page.events.reduce<LogEvent | undefined>(
            (found, event) =>
              event.kind === 't' && event.topic === relid && event.generation > (found?.generation ?? 0)
                ? event
                : found,
            undefined,
          )
          if (newest && isAhead(newest, relid)) await log.reached(newest.position, signal)
          else if (newest && (await isUnnoticed(newest, relid, signal))) throw begunAnew()
          else return { ...page, events: await past(page.events, signal, account) }
        }
      },
      seam: () => [],
    }
  }

  /** What a viewer sees when a subscription begins, where policies read the table itself. */
  async function beginTelling(
    table: WatchedTable,
    viewer: Viewer,
    signal: AbortSignal,
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
    signal: AbortSignal,
  ): Promise<Images[]> {
    const found: Images[] = []
    for (let at = after; until && comparePositions(at, until) < 0; ) {
      const page = await log.read(at, signal)
      for (const { event, images } of readEvents(relid, page.events)) {
        if (comparePositions(event.position, until) > 0) break
        if (isHole(event, relid)) throw hole()
        found.push(images)
      }
      if (comparePositions(page.position, at) <= 0) break
      at = page.position
    }
    return found
  }

  return {
    changes(table, request) {
      const { relid } = table
      const { viewer, guard, recheck } = request
      const view = createChangeView(request, log.cursors)
      let staged: Followed | undefined
      const past = viewer ? createPastFor(viewer, relid, view) : createPast(relid, view)
      const replay = createReplay(relid, past, () => (staged ? staged.position() : log.position), recheck)
      return new EventSource<RowChange>(
        { kind: 'table', name: table.schema === 'public' ? table.name : `${table.schema}.${table.name}` },
        {
          after: request.after,
          decode: log.cursors.decode,
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
              const ends = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
              try {
                const begun = await beginTelling(table, viewer, ends)
                if (refusal) throw refusal
                // What the snapshot has, a subscription that begins now does not need; what it was told of it before is unknown.
                const after = follower.goesOn ? undefined : begun?.position
                staged = visibility.follow(relid, { viewer, view, follower, told: begun?.told, after })
                if (begun) begun.told.settle(await changesBetween(relid, begun.position, staged.from, ends))
                if (refusal) throw refusal
              } catch (error) {
                staged?.stop()
                guarded?.stop()
                throw error
              }
              leave = staged.stop
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
    switchTo(tables, areReached, areWithout = []) {
      isReached = areReached
      paused = new Set(areWithout)
      const before = new Map(current)
      current.clear()
      for (const table of tables) {
        current.set(table.relid, {
          table,
          read: createImageReader(table.columns),
          images: new WeakMap(),
          pages: new WeakMap(),
        })
      }
      for (const [relid, { table: known }] of before) {
        former.set(relid, nameOf(known))
        const now = current.get(relid)?.table
        // A table under another name is another history, even if nothing of it was missed.
        if (now && now.wholeFrom <= known.generation && nameOf(now) === nameOf(known))
          endChanged(relid, now, known.generation)
        else log.end('t', relid, goneOf(relid))
      }
      switched.resolve()
      switched = createDeferred()
    },
    reached() {
      isReached = true
    },
    generationOf: relid => current.get(relid)?.table.generation,
    settled: () => visibility.drained(),
    pause: () => visibility.pause(),
    resume: () => visibility.resume(),
    async close() {
      stop.abort()
      switched.resolve()
      await visibility.close()
    },
  }
}

function nameOf({ schema, name }: WatchedTable): string {
  return JSON.stringify([schema, name])
}

function isHole({ kind, topic, unreadable }: LogEvent, relid: string): boolean {
  return unreadable !== undefined && kind === 't' && topic === relid
}

function assertAfter(after: Position, begins: Position): void {
  if (comparePositions(after, begins) < 0) throw begunAnew()
}

function begunAnew(): ListenqlError {
  return new ListenqlError('CURSOR_EXPIRED', 'the history of this table begins later than this cursor', {
    hint: 'the table was altered or watched anew: read a snapshot, and subscribe after its cursor',
  })
}

function notWhole(): ListenqlError {
  return new ListenqlError(
    'CURSOR_EXPIRED',
    'changes of this table may have been missed, and it has no whole history at the moment',
    { hint: 'listenql status says why; once it is mended, read a snapshot and subscribe after its cursor' },
  )
}

function notWatched(): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', 'this table is not watched any more', {
    hint: 'read the schema again',
  })
}

const nobodySees: CheckVisibility = async () => {
  throw new TypeError('nothing was given that says who may see what')
}
