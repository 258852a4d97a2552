import type pg from 'pg'
import { abortable, delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { createLimiter } from '../lib/limits/limiter.js'
import type { Observe } from '../lib/observation.js'
import { stopping } from '../lib/stopping.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { isPermanent } from '../postgres/sql-state.js'
import { cursorKey, type Page, read } from './log-queries.js'
import { createPageCache } from './page-cache.js'
import { comparePositions, encodePlain, type Position } from './position.js'

export interface LogReaderOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Timeout of one read, in ms. */
  readonly queryTimeout: number
  /** Longest pause between two attempts, in ms. */
  readonly reconnectMax: number
  /** See ReadOptions. */
  readonly maxImage?: () => number
  /** The position up to which live events have been dispatched, and the number of its history. */
  readonly live: () => { readonly position: Position | undefined; readonly history: number }
  readonly observe: Observe
}

/**
 * Reads the past of the log for subscribers that resume, on a small pool of connections. Concurrent reads from the same position
 * share one query, and a page that was read within the last second is not read again.
 */
export interface LogReader {
  /**
   * Reads the page after a position. While the database cannot be reached, it retries until the signal aborts.
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; DATABASE_FAILED if the database refuses the query
   */
  read(after: Position, signal: AbortSignal): Promise<Page>
  /** The cursor key, see `cursorKey`. @throws the error of the connection or of the query */
  key(): Promise<Buffer | undefined>
  /** Idempotent. */
  close(): Promise<void>
}

/** How many pages are read at a time. The limiter queues the other reads without a timeout; the queue of the pool would time out. */
const CONCURRENT_READS = 3

export function createLogReader(options: LogReaderOptions): LogReader {
  const { config, connectTimeout, queryTimeout, reconnectMax, maxImage, live, observe } = options
  const pool = createClosablePool({
    ...config,
    application_name: 'listenql replay',
    connectionTimeoutMillis: connectTimeout,
    query_timeout: queryTimeout,
    max: CONCURRENT_READS,
  })
  const limit = createLimiter(CONCURRENT_READS)
  const stop = new AbortController()
  const pages = createPageCache()
  /** Reads that are under way, by history and position: subscribers that resume from the same position share one read. */
  const reads = new Map<string, Promise<Page>>()

  function readShared(after: Position): Promise<Page> {
    const key = `${live().history} ${encodePlain(after)}`
    let page = reads.get(key)
    if (!page) {
      page = limit(() => readPage(after)).finally(() => reads.delete(key))
      page.catch(() => undefined) // every subscriber that waits for it may have left
      reads.set(key, page)
    }
    return page
  }

  async function readPage(after: Position): Promise<Page> {
    const { position, history } = live()
    const kept = pages.find(after, history)
    if (kept) return kept
    const page = await read(pool.pool, after, { maxImage: maxImage?.() })
    if (live().history === history) pages.keep(after, page, history)
    // Events that were dispatched before this read are in the ledger, so an empty page proves that there is no event up to the
    // live position. That position may be later than the page's, because batches after the page may hold no events that are left.
    const isEarlier =
      page.isLast && position && live().history === history && comparePositions(position, page.position) > 0
    return isEarlier ? { ...page, position } : page
  }

  return {
    async read(after, signal) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await abortable(readShared(after), signal)
        } catch (error) {
          if (error instanceof ListenqlError || signal.aborted || stop.signal.aborted) throw error
          if (isPermanent(error)) throw refused(error)
          const retryIn = backoffDelay(attempt, reconnectMax)
          observe({ type: 'log.lost', ...describeFailure(error, config), retryIn })
          await delay(retryIn, AbortSignal.any([signal, stop.signal]))
        }
      }
    },
    key: () => limit(() => cursorKey(pool.pool)),
    close() {
      stop.abort(stopping())
      pages.clear()
      return pool.close()
    },
  }
}

function refused(error: unknown): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', `the event log cannot be read: ${messageOf(error)}`, {
    hint: '`listenql status` shows what is missing',
    cause: error,
  })
}
