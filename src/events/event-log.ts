import pg from 'pg'
import { delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import { createDeferred } from '../lib/deferred.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import type { Position } from './cursor.js'
import type { Doorbell } from './doorbell.js'
import type { LogEvent } from './log-event.js'
import { newest, type Page, pull, read } from './log-queries.js'
import type { Stop } from './source.js'

export interface EventLogOptions {
  readonly config: pg.ClientConfig
  readonly doorbell: Doorbell
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  readonly observe: Observe
}

/** What a topic's subscriber is told. */
export interface LogListener {
  event(event: LogEvent): void
  /** The history that was followed is gone (a failover, a restore, fallen behind what is kept): nothing more comes. */
  lost(error: ListenqlError): void
}

/** Longest that a read may take, in ms; a dead peer shows in no other way. */
const QUERY_TIMEOUT = 30_000

/** How often it looks whether the log has been installed meanwhile, in ms. */
const LOOK_AGAIN = 2000

async function isReadable(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ readable: boolean }>(
    `select coalesce(bool_and(has_function_privilege(p.oid, 'execute') and has_schema_privilege(n.oid, 'usage')), false) as readable
       from pg_namespace n join pg_proc p on p.pronamespace = n.oid
      where n.nspname = 'listenql' and p.proname in ('pull', 'read', 'newest')`,
  )
  return rows[0]?.readable === true
}

/**
 * Follows the event log on a connection of its own, from where it was when it started, and hands each event to those who
 * follow its topic, in the one order of the log.
 */
export class EventLog {
  readonly #options: EventLogOptions
  readonly #topics = new Map<string, Set<LogListener>>()
  readonly #stop = new AbortController()
  readonly #pool: pg.Pool
  #started = createDeferred()
  #position: Position | undefined
  #running: Promise<void> | undefined
  #client: pg.Client | undefined

  constructor(options: EventLogOptions) {
    this.#options = options
    this.#pool = new pg.Pool({
      ...options.config,
      application_name: 'listenql replay',
      connectionTimeoutMillis: options.connectTimeout,
      query_timeout: QUERY_TIMEOUT,
      max: 3,
      allowExitOnIdle: true,
    })
    this.#pool.on('error', () => undefined) // an idle connection was lost; the next read opens another
  }

  /** How far it has handed events on; undefined until it has found the end of the log. */
  get position(): Position | undefined {
    return this.#position
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /**
   * Resolves once the log is followed, with the position from which on everything is handed on; or, once that is known, with
   * undefined: the database has no log, or our login may not read it.
   */
  async started(): Promise<Position | undefined> {
    await this.#started.promise
    return this.#position
  }

  follow(kind: 't' | 'c', topic: string, listener: LogListener): Stop {
    const key = `${kind}${topic}`
    let listeners = this.#topics.get(key)
    if (!listeners) {
      listeners = new Set()
      this.#topics.set(key, listeners)
    }
    const followers = listeners.add(listener)
    return () => {
      if (followers.delete(listener) && followers.size === 0) this.#topics.delete(key)
    }
  }

  /** A page of what comes after a position, from the log itself. @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED */
  read(after: Position): Promise<Page> {
    return read(this.#pool, after)
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#options.doorbell.wake()
    await this.#running
    await this.#pool.end()
  }

  async #run(): Promise<void> {
    const { observe, reconnectMax } = this.#options
    for (let attempt = 0; !this.#stop.signal.aborted; ) {
      try {
        attempt++
        await this.#session(() => {
          attempt = 0
        })
      } catch (error) {
        if (this.#stop.signal.aborted) break
        const retryIn = backoffDelay(Math.max(1, attempt), reconnectMax)
        observe({ type: 'log.lost', message: messageOf(error), retryIn })
        await delay(retryIn, this.#stop.signal)
      } finally {
        this.#client?.end().catch(() => undefined)
      }
    }
  }

  async #session(onReady: () => void): Promise<void> {
    const { config, connectTimeout, doorbell } = this.#options
    const client = new pg.Client({
      ...config,
      application_name: 'listenql log',
      connectionTimeoutMillis: connectTimeout,
      query_timeout: QUERY_TIMEOUT,
      keepAlive: true,
    })
    this.#client = client
    let lost: Error | undefined
    client.on('error', error => {
      lost ??= error
      doorbell.wake()
    })
    await client.connect()
    doorbell.reset()
    while (!(await isReadable(client))) {
      onReady()
      this.#started.resolve()
      if (this.#stop.signal.aborted) return
      await delay(LOOK_AGAIN, this.#stop.signal)
      if (lost) throw lost
    }
    let position = await this.#resume(client)
    onReady()
    const query = async (text: string, values: readonly unknown[] = []) =>
      (await client.query<Record<string, unknown>>({ name: text.slice(0, 60), text, values: [...values] }))
        .rows
    while (!this.#stop.signal.aborted) {
      const page = await this.#pull(client, position)
      position = page.position
      for (const event of page.events) this.#handOn(event)
      this.#position = position
      await doorbell.next(page.events.length, query)
      if (lost) throw lost
    }
  }

  /** Where to go on: where it was, if that history still stands, otherwise at the end of the one there is. */
  async #resume(client: pg.Client): Promise<Position> {
    if (this.#position) {
      try {
        await read(client, this.#position)
        return this.#position
      } catch (error) {
        if (!(error instanceof ListenqlError)) throw error
        this.#reset(error)
      }
    }
    this.#position = await newest(client)
    this.#started.resolve()
    return this.#position
  }

  async #pull(client: pg.Client, after: Position): Promise<Page> {
    try {
      return await pull(client, after)
    } catch (error) {
      if (!(error instanceof ListenqlError)) throw error
      this.#reset(error)
      return { events: [], position: await newest(client), isLast: true }
    }
  }

  #reset(error: ListenqlError): void {
    const topics = [...this.#topics.values()]
    this.#topics.clear()
    for (const listeners of topics) for (const listener of listeners) listener.lost(error)
  }

  #handOn(event: LogEvent): void {
    const listeners = this.#topics.get(event.kind + event.topic)
    if (!listeners) return
    for (const listener of listeners) listener.event(event)
  }
}
