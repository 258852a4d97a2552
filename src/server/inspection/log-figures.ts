import { END_OF_BATCH, type Position } from '../../log/position.js'
import type { Pool } from '../../postgres/pool.js'

/** The event log and what this server has not dispatched of it, in bytes, events and seconds. */
export interface LogFigures {
  readonly bytes: number
  /** Undefined: the log is empty. */
  readonly oldestSeconds: number | undefined
  readonly lagEvents: number
  readonly lagSeconds: number
}

export interface LogFiguresOptions {
  readonly ask: Pool['ask']
  /** The position up to which this server has dispatched all events. Undefined: it does not follow the log. */
  readonly position: () => Position | undefined
}

/** Longest that a scrape waits for the database, in ms. */
const TIMEOUT_MS = 2000
/** For how long an answer is used again, in ms: several scrapers must not load the database. */
const MAX_AGE_MS = 2000

/** Ages by the clock of the database, in seconds; a timestamp would arrive as text. */
const STATUS = `
select s.position_n::float8 as n, s.bytes::float8 as bytes, s.pending::float8 as pending,
  date_part('epoch', clock_timestamp() - s.oldest) as oldest, date_part('epoch', clock_timestamp() - s.pending_since) as since
from listenql.status() s`

/** Events that have their position, but that this server has not dispatched. */
const UNDISPATCHED = `
select count(*)::float8 as events, date_part('epoch', clock_timestamp() - min(r.at)) as since
from listenql.read($1, $2, $3, $4, $5, 2000) r`

/** Reads the figures from the database when they are asked for. */
export function createLogFigures({ ask, position }: LogFiguresOptions) {
  let present: LogFigures | undefined
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  async function read(): Promise<LogFigures | undefined> {
    if (!position()) return undefined
    const [row] = await ask(STATUS, TIMEOUT_MS)
    // After the query, so that events that are dispatched meanwhile do not count as lag.
    const at = position()
    if (!row || !at) return undefined
    const { n, token, ord, statement, id } = at
    const lags = n < (row.n ?? 0) || (n === row.n && ord !== END_OF_BATCH)
    const [undispatched] = lags ? await ask(UNDISPATCHED, TIMEOUT_MS, [n, token, ord, statement, id]) : []
    const lagEvents = (row.pending ?? 0) + (undispatched?.events ?? 0)
    return {
      bytes: row.bytes ?? 0,
      oldestSeconds: row.oldest ?? undefined,
      lagEvents,
      lagSeconds: Math.max(0, row.since ?? 0, undispatched?.since ?? 0),
    }
  }

  /** Waits for TIMEOUT_MS at most: a query may wait for its connection, too, for longer than a scraper waits. */
  async function withinTimeout(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<void>(resolve => {
      timer = setTimeout(() => {
        present = undefined
        resolve()
      }, TIMEOUT_MS)
    })
    await Promise.race([work, tooLong])
    clearTimeout(timer)
  }

  return {
    /** Undefined: the database has no log that is followed, or does not answer. */
    get present() {
      return present
    },
    /** Never rejects. */
    refresh(): Promise<void> {
      if (performance.now() - readAt < MAX_AGE_MS) return Promise.resolve()
      reading ??= read()
        .catch(() => undefined)
        .then(figures => {
          present = figures
          readAt = performance.now()
          reading = undefined
        })
      return withinTimeout(reading)
    },
  }
}
