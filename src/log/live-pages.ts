import type pg from 'pg'
import type { Timer } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import { noteSpan } from '../lib/telemetry/tracing.js'
import { openConnection } from '../postgres/connection.js'
import type { Cursors } from './cursors.js'
import type { LivePosition } from './live-position.js'
import type { LogHealth } from './log-health.js'
import {
  cursorKey,
  isReadable,
  newest,
  PAGE_EVENTS,
  type Page,
  pull,
  QUERY_TIMEOUT_MS,
  read,
} from './log-queries.js'
import type { LogTroubles } from './log-troubles.js'
import type { Doorbell } from './pace/doorbell.js'
import { createLeadership, LEADS } from './pace/leadership.js'
import type { Position } from './position.js'
import type { Checkpoint } from './pump.js'

export interface LivePagesOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Decides when the next page is read. */
  readonly doorbell: Doorbell
  /**
   * Whether the session is the server's own: statements stay prepared, and it holds locks (see `Leadership`). A pooler in transaction
   * mode does not allow that. Default: false.
   */
  readonly keepsPrepared?: boolean
  /** Reports events that cannot be read, and a place in the log at which reading stalls. */
  readonly troubles?: LogTroubles
  /** Called once per connection when it is about to read its first page. */
  readonly onFollowed?: () => void
  /** Returns the size in bytes above which an image is read in pieces. */
  readonly maxImage: () => number
  readonly live: LivePosition
  readonly health: LogHealth
  /** Gets the cursor key before the first page. */
  readonly cursors: Pick<Cursors, 'use'>
  readonly checkpoint: Pick<Checkpoint, 'beforePull' | 'caughtUp'>
  /** Waits between two checks whether the log has been installed. */
  readonly installCheck: Timer
  /** Called when the connection is known to be usable. */
  readonly onReady: () => void
  readonly signal: AbortSignal
}

/** How often the follower checks whether the log, or the key of its cursors, has been installed, in ms. */
const INSTALL_CHECK_MS = 2000

/**
 * The pages of the live log, read one after another on a connection of their own, from the live position on. If its history has
 * ended, the pages continue from the end of the next history, and the live position says so. If the database has no log, or the
 * login may not read it, there is no page until it may. Ends when the signal aborts.
 * @throws the error of connecting or of Postgres, or the one that ended the connection
 */
export async function* livePages(options: LivePagesOptions): AsyncGenerator<Page, void, undefined> {
  const { live, doorbell, health, troubles, checkpoint, maxImage, signal } = options
  /** When to look for the key again (`performance.now()`). Undefined: it is known. */
  let keyDue: number | undefined
  const connection = await openConnection({
    ...options,
    config: { ...options.config, application_name: 'listenql log' },
    queryTimeout: QUERY_TIMEOUT_MS,
    onLost: doorbell.wake,
  })
  const { client, query } = connection
  try {
    doorbell.reset()
    while (!(await isReadable(client))) {
      options.onReady()
      if (signal.aborted) return
      await waitForInstall()
      if (signal.aborted) return
      if (connection.lost) throw connection.lost
    }
    await health.connected(live.position, query)
    let position = await resume()
    const leadership = options.keepsPrepared ? createLeadership(query) : LEADS
    let found = 0
    options.onFollowed?.()
    options.onReady()
    while (!signal.aborted) {
      checkpoint.beforePull()
      const began = performance.now()
      // While the leader adds events, its batches are read, and none is added to them.
      const added = leadership.leads || found === 0 ? undefined : await pageAfter(position, 'read')
      const page = added && !added.isLast ? added : await pageAfter(added?.position ?? position, 'pull')
      found = page.events.length
      health.pulled()
      if (found > 0) noteSpan('listenql.log.page', { 'listenql.events': found }, began)
      if (page.losses && page.losses.length > 0) await troubles?.lost(page.losses, query)
      if (signal.aborted) return
      yield page
      position = page.position
      // The key appears when schema listenql is upgraded while this server runs.
      if (keyDue !== undefined && keyDue <= performance.now()) await learnKey()
      health.passed(page.isLast)
      if (troubles?.isNoted) await troubles.note(query)
      await leadership.check()
      // A cautious page holds one event at most, however many there are.
      const isLong = health.isCautious && found > 0
      await doorbell.next(isLong ? PAGE_EVENTS : found, query, leadership.leads ? 1 : leadership.servers)
      if (connection.lost) throw connection.lost
    }
  } finally {
    connection.destroy()
  }

  async function waitForInstall(): Promise<void> {
    health.absent()
    const waited = options.installCheck.wait(INSTALL_CHECK_MS) // before the checkpoint: a wake-up during `caughtUp` ends the wait
    live.unavailable()
    checkpoint.beforePull()
    await checkpoint.caughtUp(false)
    await waited
  }

  /** The position to continue from: the live one if its history still exists, otherwise the end of the next history. */
  async function resume(): Promise<Position> {
    const end = await readEnd()
    if (!live.position) {
      live.begin(end)
      return end
    }
    try {
      await read(client, live.position, { maxImage: maxImage(), limit: 1 })
      return live.position
    } catch (error) {
      return endHistory(error, end)
    }
  }

  async function pageAfter(after: Position, by: 'pull' | 'read'): Promise<Page> {
    try {
      return await { pull, read }[by](client, after, {
        name: options.keepsPrepared ? `listenql ${by}` : undefined,
        maxImage: maxImage(),
        ...(health.isCautious && { limit: 1 }),
      })
    } catch (error) {
      if (!(error instanceof ListenqlError)) throw error
      return { events: [], position: endHistory(error, await readEnd()), isLast: true }
    }
  }

  /** @throws the error, unless it says that the history has ended */
  function endHistory(error: unknown, end: Position): Position {
    if (!(error instanceof ListenqlError)) throw error
    live.endHistory(error, end)
    return end
  }

  /**
   * The end of the log. This call also notices that the database was restored or copied and begins a new history, which may have
   * another key.
   */
  async function readEnd(): Promise<Position> {
    const end = await newest(client)
    await learnKey()
    return end
  }

  async function learnKey(): Promise<void> {
    const key = await cursorKey(client)
    options.cursors.use(key)
    keyDue = key ? undefined : performance.now() + INSTALL_CHECK_MS
  }
}
