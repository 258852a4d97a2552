import { createBackoff } from '../connection/backoff.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import { SubscriptionError } from '../subscription/subscription-error.js'
import { createFlights, type Flight } from './flights.js'
import { createReads, type Reads } from './reads.js'
import type { RowChanges } from './row-changes.js'
import { createTableFeed, type TableFeed } from './table-feed.js'
import type { Tables } from './tables.js'

/** Options that Apollo's link and urql's exchange have in common. */
export interface LiveCacheOptions {
  /** A client of `createClient`, for the subscriptions to changes. */
  readonly client: SubscribingClient
  /** The watched tables, from `tablesOf`. */
  readonly tables: Tables
  /** The pause between two reads of the queries that a change concerns, in ms. The first change after a pause is read at once. Default: 100. */
  readonly every?: number | undefined
  /** Whether to subscribe. Default: only in browsers, React Native and workers, so that rendering on a server opens nothing. */
  readonly enabled?: boolean | undefined
  /** Called when the changes of a table cannot be followed, for example since the viewer may not read it. Default: `console.error`. */
  readonly onError?: ((error: LiveCacheError) => void) | undefined
}

/** The changes of a table cannot be followed, so that what the cache has of it is no longer live. */
export class LiveCacheError extends SubscriptionError {
  /** @param type the type of the rows, such as `People` */
  constructor(
    readonly type: string,
    { message, cause }: SubscriptionError,
  ) {
    super(cause)
    this.message = `${type} is not live: ${message}`
  }
}

/** What has to be read again. */
export interface Outdated {
  /** Tables of which rows came, went or moved: their lists and aggregates. */
  readonly tables: ReadonlySet<string>
  /** Those of them of which changes may be missing: everything. */
  readonly lost: ReadonlySet<string>
}

/** The cache that is kept up to date. */
export interface LiveCache {
  /** Writes changed rows that the cache has, and removes deleted ones. */
  write(changes: readonly RowChanges[]): void
  /**
   * Reads again. A rejection means to try again later.
   * @param failures how often it has been rejected in a row
   */
  readAgain(outdated: Outdated, failures: number): Promise<void>
}

/** A request on its way, as a cache reports it. */
export interface Request {
  /**
   * A result has arrived, and is about to be written.
   * @param cursor its position, if it has one
   * @returns the changes since the request was sent, which the result may lack: to be written after it. The list grows until `ended`
   */
  received(cursor: string | undefined): readonly RowChanges[]
  /** The result is written, or there will be none. */
  ended(): void
}

/** The watched tables whose rows a cache has. */
export interface LiveTables {
  /** What the requests so far have read. */
  readonly seen: Reads
  /** A request is sent. @param reads undefined if it may be anything */
  sent(reads: Reads | undefined): Request
  /** Follows a table of which the cache has rows of an unknown age. */
  follow(type: string): void
  close(): void
}

/** Follows tables from the first result on that shows them. */
export function createLiveTables(
  { client, tables, every = 100, onError = error => console.error(error) }: LiveCacheOptions,
  cache: LiveCache,
): LiveTables {
  const feeds = new Map<string, TableFeed>()
  const seen = createReads()
  const flights = createFlights()
  const backoff = createBackoff()
  let outdated = new Set<string>()
  let lost = new Set<string>()
  let isReading = false
  let isClosed = false

  function outdate(type: string): void {
    outdated.add(type)
    if (!isReading) void readAgain()
  }
  async function readAgain(): Promise<void> {
    isReading = true
    let failures = 0
    await pause(0) // what arrives in one turn is read together
    while (outdated.size > 0 && !isClosed) {
      const round: Outdated = { tables: outdated, lost }
      outdated = new Set()
      lost = new Set()
      try {
        await cache.readAgain(round, failures)
        failures = 0
        await pause(every)
      } catch {
        outdated = new Set([...round.tables, ...outdated])
        lost = new Set([...round.lost, ...lost])
        await backoff.wait(failures++)
      }
    }
    isReading = false
  }
  function open(type: string, after: string | undefined, result?: Flight): void {
    const table = tables.rows[type]
    if (!table || feeds.has(type) || isClosed) return
    // Other results on their way may be from before the position.
    flights.outdate(type, result)
    let hasFailed = false
    const feed = createTableFeed(client, table, after, {
      changes(changes) {
        const isOutdated = changes.some(change => seen.isDecidedBy(type, change))
        flights.changed({ type, changes }, isOutdated)
        cache.write([{ type, changes }])
        if (isOutdated) outdate(type)
      },
      lost() {
        flights.outdate(type)
        lost.add(type)
        outdate(type)
      },
      failed(error) {
        hasFailed = true
        feeds.delete(type) // the next result with such rows tries again
        onError(new LiveCacheError(type, error))
      },
    })
    if (!hasFailed) feeds.set(type, feed)
  }
  return {
    seen,
    sent(reads) {
      if (reads) seen.add(reads)
      const flight = flights.sent(reads)
      let hasResult = false
      return {
        received(cursor) {
          hasResult = true
          for (const type of reads?.types ?? []) open(type, cursor, flight)
          return flight.missed
        },
        ended() {
          flight.end()
          if (hasResult) for (const type of flight.outdated) outdate(type)
        },
      }
    },
    follow: type => open(type, undefined),
    close() {
      isClosed = true
      for (const feed of feeds.values()) feed.close()
      feeds.clear()
      backoff.cancel()
    },
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
