import { EventEmitter, once } from 'node:events'
import type pg from 'pg'
import { abortable } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import { STANDBY } from './connect-failure.js'
import { createDeliveryProof, type DeliveryProof, PROOF_CHANNEL, type ProofSender } from './delivery-proof.js'
import { type ListenConnection, openListenConnection } from './listen-connection.js'
import { ListenedChannels, type Reconciled } from './listened-channels.js'
import { type FailureDetails, reconnect } from './reconnect.js'
import { isText, RELAX_SESSION } from './text-encoding.js'
import { liftTimeLimitsSql } from './time-limits.js'

/** Shortest time allowed for a notification to the server itself, in ms: Postgres may be busy, whatever the heartbeat is. */
const PROOF_TIMEOUT_MS = 2000

export interface ListenerOptions {
  readonly config: pg.ClientConfig
  /** Interval of the heartbeat, and longest silence before the connection counts as dead, in ms. */
  readonly heartbeat: number
  /** Lends a connection that sends a notification to the LISTEN connection, to prove that it delivers. */
  readonly lend: () => Promise<ProofSender>
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  readonly observe: Observe
}

/** Gets what comes over the LISTEN connection, of all channels. */
export interface ListenerHandlers {
  /** @param isWhole false: the payload holds bytes that are no text, so it is not what was sent */
  onNotification(channel: string, payload: string, isWhole: boolean): void
  /** LISTEN has returned for these channels, for the first time or again after an outage. */
  onListening(channels: readonly string[]): void
  /** The connection is gone; notifications are missed from now until `onListening`. */
  onLost(): void
}

/** Gets what comes over one channel of the server's own. */
export interface ChannelHandler {
  notify(payload: string): void
  /** Whether notifications arrive: true from LISTEN until the connection is lost. */
  onListening(isListening: boolean): void
}

/** The connection answers statements, but notifications do not arrive on it. */
class DeafError extends Error {
  readonly isPooled: boolean

  constructor(isPooled: boolean, message: string) {
    super(message)
    this.isPooled = isPooled
  }
}

/**
 * The one LISTEN connection of a process. Requested channels (`listen`, `unlisten`) and those that Postgres listens to are
 * reconciled on one serial chain, so calls may come at any time and in any order; after a loss all requested channels are restored.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #channels = new ListenedChannels(() => this.#wake.emit('wake'))
  readonly #handlers = new Set<ListenerHandlers>()
  /** Channels of the server's own, which are never unlistened. */
  readonly #kept = new Map<string, ChannelHandler>()
  readonly #stop = new AbortController()
  readonly #wake = new EventEmitter()
  #connection: ListenConnection | undefined
  #ready = false
  #isDeaf = false
  #paused = false
  #running: Promise<void> | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#wake.setMaxListeners(0)
  }

  /** True while connected with every requested channel listened to (the latest requests may still be in progress). */
  get ready(): boolean {
    return this.#ready
  }

  /** True after a check found that no notification arrives although the connection answers, until one has arrived. */
  get isDeaf(): boolean {
    return this.#isDeaf
  }

  /** The handlers get what comes from now on. */
  attach(handlers: ListenerHandlers): void {
    this.#handlers.add(handlers)
  }

  /** Listens to a channel of the server's own until `close`. A second call for a channel replaces its handler. */
  keep(channel: string, handler: ChannelHandler): void {
    this.#kept.set(channel, handler)
    void this.listen(channel).then(() => handler.onListening(true))
  }

  /** Connects, and reconnects until `close`. */
  start(): void {
    this.#running ??= this.#run()
  }

  /**
   * Resolves once LISTEN has returned: every NOTIFY on the channel that commits later is received. Waits while the database is
   * down.
   */
  listen(channel: string, signal?: AbortSignal): Promise<void> {
    return this.#channels.listen(channel, signal)
  }

  /** For a requested channel: resolves while it is listened to, or when it is again after an outage. */
  whenListening(channel: string, signal?: AbortSignal): Promise<void> {
    return this.#channels.whenListening(channel, signal)
  }

  unlisten(channel: string): void {
    if (!this.#kept.has(channel)) this.#channels.unlisten(channel)
  }

  /** Stops reading notifications for a short time: Postgres stores unread ones, and they hold back vacuum. */
  pause(): void {
    this.#paused = true
    this.#connection?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#connection?.resume()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#wake.emit('wake')
    await this.#connection?.close()
    await this.#running
  }

  async #run(): Promise<void> {
    const { config, reconnectMax, observe } = this.#options
    await reconnect({
      config,
      reconnectMax,
      signal: this.#stop.signal,
      session: (attempt, ready) =>
        this.#session(() => {
          observe({ type: 'database.connected', afterAttempts: attempt, channels: this.#channels.active })
          ready()
        }),
      onFailure: (failure, details) => this.#failed(failure, details),
    })
    this.#drop('')
    this.#ready = false
  }

  #failed(failure: Failure, { error, attempt, retryIn }: FailureDetails): void {
    const { observe } = this.#options
    const { message } = failure
    this.#drop(message)
    const wasReady = this.#ready
    this.#isDeaf = error instanceof DeafError
    this.#lost()
    const channels = this.#channels.requested
    if (error instanceof DeafError)
      observe({ type: 'database.deaf', message: error.message, isPooled: error.isPooled, channels, retryIn })
    else if (wasReady) observe({ type: 'database.lost', message, channels })
    else observe({ type: 'database.unreachable', ...failure, attempt, retryIn })
  }

  #drop(reason: string): void {
    this.#connection?.destroy(reason)
    this.#connection = undefined
  }

  #lost(): void {
    this.#ready = false
    if (!this.#channels.lost()) return
    for (const handler of this.#kept.values()) handler.onListening(false)
    for (const handlers of this.#handlers) handlers.onLost()
  }

  async #session(onReady: () => void): Promise<void> {
    const { heartbeat, observe } = this.#options
    let lost: string | undefined
    let isAscii = false
    const over = new AbortController()
    const ended = AbortSignal.any([over.signal, this.#stop.signal])
    const proof = createDeliveryProof({
      patience: Math.max(heartbeat, PROOF_TIMEOUT_MS),
      isPaused: () => this.#paused,
      signal: ended,
    })
    const connection = await openListenConnection({
      config: this.#options.config,
      connectTimeout: this.#options.connectTimeout,
      deadline: heartbeat,
      signal: this.#stop.signal,
      onNotification: (channel, payload, isUnasked) => {
        proof.heard(isUnasked)
        if (channel === PROOF_CHANNEL) return
        this.#kept.get(channel)?.notify(payload)
        const isWhole = !isAscii || isText(payload)
        for (const handlers of this.#handlers) handlers.onNotification(channel, payload, isWhole)
      },
      onLost: reason => {
        lost = reason
        over.abort()
        this.#wake.emit('wake')
      },
    })
    this.#connection = connection
    if (this.#stop.signal.aborted) return connection.close()
    if (this.#paused) connection.pause()
    const { rows } = await connection.run(
      `select pg_catalog.pg_is_in_recovery() as standby, pg_catalog.pg_backend_pid() as pid,
         pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'SQL_ASCII' as "isAscii"`,
    )
    if (rows[0]?.standby) throw new ListenqlError('DATABASE_FAILED', STANDBY.message, STANDBY)
    const isPooled = connection.namedPid !== rows[0]?.pid
    await connection.run(liftTimeLimitsSql(connection.namedPid))
    isAscii = rows[0]?.isAscii === true
    // A notification that is not UTF8 would end the connection: this way it arrives with U+FFFD in it.
    if (isAscii) await connection.run(RELAX_SESSION)
    await connection.run(`listen ${PROOF_CHANNEL}`)
    // Before any channel is listened to: no subscriber may be accepted on a connection that delivers nothing.
    const first = await this.#borrow(ended)
    if (first) await this.#prove(connection, proof, first, isPooled)

    let due = performance.now() + heartbeat
    let sender: ProofSender | undefined
    let isBorrowing = false
    while (!this.#stop.signal.aborted) {
      if (lost !== undefined) throw new Error(lost)
      if (performance.now() >= due) {
        due = performance.now() + heartbeat
        await this.#heartbeat(connection, isPooled)
        observe({ type: 'database.heartbeat' })
        if (proof.renew() || isBorrowing || sender) continue
        isBorrowing = true // LISTEN must not wait for this connection, which may take long
        void this.#borrow(ended).then(borrowed => {
          isBorrowing = false
          if (ended.aborted) borrowed?.release()
          else sender = borrowed
          this.#wake.emit('wake')
        })
      } else if (sender) {
        const borrowed = sender
        sender = undefined
        await this.#prove(connection, proof, borrowed, isPooled)
      } else if (this.#channels.isDirty) {
        await this.#channels.reconcile(connection, reconciled => this.#reconciled(reconciled))
      } else if (!this.#ready) {
        this.#ready = true
        onReady()
      } else {
        await this.#idle(due - performance.now())
      }
    }
  }

  /** Waits until there is work, for `ms` milliseconds at most. */
  #idle(ms: number): Promise<void> {
    return once(this.#wake, 'wake', { signal: AbortSignal.timeout(Math.max(0, Math.ceil(ms))) }).then(
      () => undefined,
      () => undefined,
    )
  }

  /** Undefined if there is no second connection: then delivery cannot be proven, and the answer to LISTEN must suffice. */
  async #borrow(signal: AbortSignal): Promise<ProofSender | undefined> {
    const lending = this.#options.lend()
    try {
      return await abortable(lending, signal)
    } catch (error) {
      lending.then(
        late => late.release(),
        () => undefined,
      )
      if (!signal.aborted) this.#options.observe({ type: 'database.unproven', message: messageOf(error) })
      return undefined
    }
  }

  /** @throws DeafError if a notification to the server itself does not arrive */
  async #prove(
    connection: ListenConnection,
    proof: DeliveryProof,
    sender: ProofSender,
    isPooled: boolean,
  ): Promise<void> {
    try {
      if (await proof.attempt(sender)) {
        proof.renew()
        return
      }
    } catch (error) {
      return this.#options.observe({ type: 'database.unproven', message: messageOf(error) })
    } finally {
      sender.release()
    }
    await this.#heartbeat(connection, isPooled) // fails if the peer is dead and not only deaf
    throw new DeafError(isPooled, 'LISTEN is answered, but notifications do not arrive')
  }

  #reconciled({ listening, released }: Reconciled): void {
    const { observe } = this.#options
    for (const channel of released) observe({ type: 'channel.released', channel })
    for (const channel of listening) observe({ type: 'channel.listening', channel })
    for (const channel of listening) this.#kept.get(channel)?.onListening(true)
    for (const handlers of this.#handlers) handlers.onListening(listening)
  }

  /** Compares the channels that Postgres listens to; detects a dead peer, and a pooler that runs the query in another session. */
  async #heartbeat(connection: ListenConnection, isPooled: boolean): Promise<void> {
    const { rows } = await connection.run(
      'select pg_catalog.count(*)::pg_catalog.int4 as count from pg_catalog.pg_listening_channels()',
    )
    const wanted = this.#channels.active + 1 // with the channel of the proof
    if (rows[0]?.count === wanted) return
    throw new DeafError(
      isPooled,
      `Postgres listens to ${rows[0]?.count} channels for this session instead of ${wanted}`,
    )
  }
}
