import type { WatchedTable } from '../database/watched-table.js'
import {
  createImageReader,
  type Filter,
  type ReadImage,
  type RowImage,
  toPredicate,
} from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import { comparePositions, encodeCursor, endOfBatch, type Position } from './cursor.js'
import type { EventLog } from './event-log.js'
import type { LogEvent, LogOperation } from './log-event.js'
import type { RowChange, RowOperation } from './row-change.js'
import { EventSource, type Replay, type Stop } from './source.js'

export interface ChangesRequest {
  readonly filter: Filter
  /** Undefined: all. */
  readonly operations: readonly RowOperation[] | undefined
  /** A cursor as the client wrote it. */
  readonly after: string | undefined
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
}

interface Images {
  readonly row: RowImage | null
  readonly old: RowImage | null
}

interface Adopted {
  readonly table: WatchedTable
  readonly read: ReadImage
  /** Everybody who follows the table looks at the same event in turn: it is parsed once. */
  last: { readonly event: LogEvent; readonly images: Images } | undefined
}

const OPERATIONS: Readonly<Record<Exclude<LogOperation, 'N'>, RowOperation>> = {
  I: 'INSERT',
  U: 'UPDATE',
  D: 'DELETE',
  T: 'TRUNCATE',
}

export function createTables({ log }: { readonly log: EventLog }): Tables {
  const adopted = new Map<string, Adopted>()
  let isReached = true

  function imagesOf(entry: Adopted, event: LogEvent): Images {
    if (entry.last?.event === event) return entry.last.images
    const images = {
      row: event.new === null ? null : entry.read(event.new),
      old: event.old === null ? null : entry.read(event.old),
    }
    entry.last = { event, images }
    return images
  }

  /** A change as a filter sees it; undefined if it does not concern it. */
  function createView(relid: string, { filter, operations }: ChangesRequest) {
    const matches = toPredicate(filter)
    const isOpen = filter.kind === 'and' && filter.filters.length === 0
    return function view(event: LogEvent): RowChange | undefined {
      const entry = adopted.get(relid)
      if (!entry || event.operation === 'N') return undefined
      const operation = OPERATIONS[event.operation]
      if (operations && !operations.includes(operation)) return undefined
      const { row, old } = imagesOf(entry, event)
      let now = row
      if (!isOpen && operation !== 'TRUNCATE') {
        if (row && !matches(row)) now = null
        if (!now && !(old && matches(old))) return undefined
      }
      return {
        operation,
        position: event.position,
        cursor: encodeCursor(event.position),
        key: row ?? old,
        row: now,
        old,
        at: event.at,
        transaction: event.transaction,
      }
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

  function createReplay(relid: string, view: (event: LogEvent) => RowChange | undefined): Replay<RowChange> {
    const position = () => log.position ?? beginning(relid)
    return {
      position,
      start() {
        const begins = beginning(relid)
        const live = log.position ?? begins
        // What was altered is adopted at its first event, which may stand before the new history: until all up to there has
        // been handed on, its beginning would be ahead of what was told.
        return isReached && comparePositions(begins, live) > 0 ? begins : live
      },
      async read(after, signal) {
        for (;;) {
          assertAfter(after, beginning(relid))
          const page = await log.read(after, signal)
          // Looked at again: the table may have been altered while the page was read.
          assertAfter(after, beginning(relid))
          const ahead = page.events.find(event => isAhead(event, relid))
          if (!ahead) return { ...page, events: eventsOf(page.events, relid, view) }
          await log.reached(ahead.position, signal)
        }
      },
      seam: () => [],
    }
  }

  return {
    changes(table, request) {
      const { relid } = table
      const view = createView(relid, request)
      return new EventSource<RowChange>(
        { kind: 'table', name: table.schema === 'public' ? table.name : `${table.schema}.${table.name}` },
        {
          after: request.after,
          async open(follower): Promise<Stop> {
            const stop = log.follow('t', relid, {
              event(event) {
                const change = view(event)
                if (change) follower.event(change)
              },
              lost: error => follower.end(error),
            })
            return stop
          },
          live: () => Promise.resolve(), // through an outage the log keeps what happens
          positionOf: change => change.position,
          replay: () => createReplay(relid, view),
        },
      )
    },
    adopt(tables, areReached) {
      isReached = areReached
      const former = new Map(adopted)
      adopted.clear()
      for (const table of tables) {
        adopted.set(table.relid, { table, read: createImageReader(table.columns), last: undefined })
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
  }
}

function eventsOf(
  events: readonly LogEvent[],
  relid: string,
  view: (event: LogEvent) => RowChange | undefined,
): RowChange[] {
  const changes: RowChange[] = []
  for (const event of events) {
    if (event.kind !== 't' || event.topic !== relid) continue
    const change = view(event)
    if (change) changes.push(change)
  }
  return changes
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
