import type pg from 'pg'
import { abortable, delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { createLimiter } from '../lib/limits/limiter.js'
import type { Observe } from '../lib/observation.js'
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
  /** Longest that a read may take, in ms. */
  readonly queryTimeout: number
  /** Longest pause between two attempts, in ms. */
  readonly reconnectMax: number
  /** See ReadOptions. */
  readonly maxImage?: number
  /** How far live events have been handed on, and in which history. */
  readonly live: () => { readonly position: Position | undefined; readonly history: number }
  readonly observe: Observe
}

/** Reads the past of the log, for those who come back. */
export interface LogReader {
  /**
   * A page of what comes after a position. Waits while the database is away, until the signal aborts.
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; DATABASE_FAILED if the database is there and refuses
   */
  read(after: Position, signal: AbortSignal): Promise<Page>
  /** The key of cursors, see `cursorKey`. @throws what the connection throws */
  key(): Promise<Buffer | undefined>
  /** Idempotent. */
  close(): Promise<void>
}

/** How many pages are read at a time; others wait for their turn, however long: a pool would give up. */
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
  /** Reads that are under way, by position: many that come back from the same place at once read its page once. */
  const reads = new Map<string, Promise<Page>>()

  function readShared(after: Position): Promise<Page> {
    const key = encodePlain(after)
    let page = reads.get(key)
    if (!page) {
      page = limit(() => readPage(after)).finally(() => reads.delete(key))
      page.catch(() => undefined) // whoever asked may have left
      reads.set(key, page)
    }
    return page
  }

  async function readPage(after: Position): Promise<Page> {
    const { position, history } = live()
    const kept = pages.find(after, history)
    if (kept) return kept
    const page = await read(pool.pool, after, { maxImage })
    if (live().history === history) pages.keep(after, page, history)
    // What had been handed on before was in the ledger: an empty page proves that nothing lies between. It may end in
    // batches without events. Positions of two histories cannot be compared.
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
      stop.abort()
      pages.clear()
      return pool.close()
    },
  }
}

function refused(error: unknown): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', `the event log cannot be read: ${messageOf(error)}`, {
    hint: '`listenql status` says what is lacking',
    cause: error,
  })
}
