import type { WatchedTable } from '../../catalog/watched-table.js'
import type { Images } from '../../filters/images.js'
import { createImageReader, type ReadImage } from '../../filters/index.js'
import { createDeferred } from '../../lib/deferred.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { LogEvent } from '../../log/log-event.js'
import { endOfBatch, type Position } from '../../log/position.js'
import type { ReadEvent } from '../../rls/visibility.js'
import { begunAnew, notWatched, notWhole } from './history-errors.js'

interface KnownTable {
  readonly table: WatchedTable
  readonly read: ReadImage
  /** The parsed images by event: each is parsed once for all subscribers, live and of replayed pages that subscribers share. */
  readonly images: WeakMap<LogEvent, Images>
  /** The parsed events of this table by page. */
  readonly pages: WeakMap<readonly LogEvent[], readonly ReadEvent[]>
}

/** What a schema switch means for the live followers of a table. */
export type TableSwitch =
  /** The history continues. `since` is the former generation: values of columns may have another meaning in later ones. */
  | { readonly kind: 'kept'; readonly table: WatchedTable; readonly since: number }
  | { readonly kind: 'ended'; readonly relid: string; readonly error: ListenqlError }

/** The watched tables, with the generations and columns that they have at the log's position. */
export class KnownTables {
  #current = new Map<string, KnownTable>()
  /** The names of tables that were watched before, by oid. */
  readonly #former = new Map<string, string>()
  #paused = new Set<string>()
  #switched = createDeferred()

  table(relid: string): WatchedTable | undefined {
    return this.#current.get(relid)?.table
  }

  /** The table of an event and its parsed images. Undefined: the table is not watched. */
  read(event: LogEvent): { readonly table: WatchedTable; readonly images: Images } | undefined {
    const known = this.#current.get(event.topic)
    return known && { table: known.table, images: imagesOf(known, event) }
  }

  /** The events of one table in a page of the log. Every subscriber that reads the page gets the same array. */
  readPage(relid: string, page: readonly LogEvent[]): readonly ReadEvent[] {
    const known = this.#current.get(relid)
    if (!known) return []
    let events = known.pages.get(page)
    if (!events) {
      events = page
        .filter(({ kind, topic }) => kind === 't' && topic === relid)
        .map(event => ({ event, images: imagesOf(known, event) }))
      known.pages.set(page, events)
    }
    return events
  }

  /** The position at which the history of a table begins. @throws ListenqlError CURSOR_EXPIRED, SCHEMA_CHANGED if it has no history */
  beginning(relid: string): Position {
    const known = this.#current.get(relid)
    if (!known) throw this.#goneOf(relid)
    return endOfBatch(known.table.since)
  }

  /** Resolves with the next call of `switchTo` or `close`. */
  get switched(): Promise<void> {
    return this.#switched.promise
  }

  /** @param paused oids of watched tables whose history is incomplete at the moment */
  switchTo(tables: readonly WatchedTable[], paused: readonly string[]): readonly TableSwitch[] {
    const before = this.#current
    this.#paused = new Set(paused)
    this.#current = new Map(
      tables.map(table => [
        table.relid,
        { table, read: createImageReader(table.columns), images: new WeakMap(), pages: new WeakMap() },
      ]),
    )
    for (const [relid, { table }] of before) this.#former.set(relid, nameOf(table))
    const switches = [...before].map(([relid, { table: former }]): TableSwitch => {
      const table = this.table(relid)
      // A renamed table has a new history, even if no event was missed.
      return table && table.wholeFrom <= former.generation && nameOf(table) === nameOf(former)
        ? { kind: 'kept', table, since: former.generation }
        : { kind: 'ended', relid, error: this.#goneOf(relid) }
    })
    this.close()
    return switches
  }

  close(): void {
    this.#switched.resolve()
    this.#switched = createDeferred()
  }

  /** The error of a table whose history has ended: another table has its name, its history is incomplete, or it is not watched. */
  #goneOf(relid: string): ListenqlError {
    const name = this.#former.get(relid)
    const isReplaced =
      name !== undefined && [...this.#current.values()].some(({ table }) => nameOf(table) === name)
    if (isReplaced) return begunAnew()
    return this.#paused.has(relid) ? notWhole() : notWatched()
  }
}

function imagesOf({ images, read }: KnownTable, event: LogEvent): Images {
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

function nameOf({ schema, name }: WatchedTable): string {
  return JSON.stringify([schema, name])
}
