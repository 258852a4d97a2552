import { EventEmitter, once } from 'node:events'
import pg from 'pg'
import { abortable } from '../lib/abort.js'
import { createDeferred, type Deferred } from '../lib/deferred.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Failure, Observe } from '../lib/observation.js'
import { STANDBY } from './connect-failure.js'
import { createDeliveryProof, type DeliveryProof, PROOF_CHANNEL, type ProofSender } from './delivery-proof.js'
import { type ListenConnection, openListenConnection } from './listen-connection.js'
import { type FailureDetails, reconnect } from './reconnect.js'
import { hasSqlState, SQL_STATE } from './sql-state.js'
import { isText, RELAX_SESSION } from './text-encoding.js'
import { liftTimeLimitsSql } from './time-limits.js'

/** LISTEN statements in one round trip. They share a transaction, so that a thousand channels are restored in milliseconds. */
const CHANNELS_PER_STATEMENT = 500

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
  /** `isWhole`: the payload is what was sent. Otherwise bytes that are not text were replaced in it. */
  readonly onNotification: (channel: string, payload: string, isWhole: boolean) => void
  /** LISTEN has returned for these channels, for the first time or again after an outage. */
  readonly onListening: (channels: readonly string[]) => void
  /** The connection is lost; notifications are missed from now until `onListening`. */
  readonly onLost: () => void
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
  readonly #wanted = new Map<string, Deferred>()
  readonly #active = new Set<string>()
  /** Channels that are requested and impossible: the encoding of the database lacks a character of their names. */
  readonly #refused = new Map<string, ListenqlError>()
  /** Channels to reconcile; ten thousand subscribers must not cost a scan of all channels each. */
  readonly #dirty = new Set<string>()
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

  /** Connects, and reconnects until `close`. */
  start(): void {
    this.#running ??= this.#run()
  }

  /**
   * Resolves once LISTEN has returned: every NOTIFY on the channel that commits later is received. Waits while the database is
   * down.
   */
  listen(channel: string, signal?: AbortSignal): Promise<void> {
    let entry = this.#wanted.get(channel)
    if (!entry) {
      entry = createDeferred()
      this.#wanted.set(channel, entry)
      if (this.#active.has(channel)) entry.resolve() // its UNLISTEN has not been sent yet
      this.#touch(channel)
    }
    return this.#granted(channel, entry, signal)
  }

  /** For a requested channel: resolves while it is listened to, or when it is again after an outage. */
  async whenListening(channel: string, signal?: AbortSignal): Promise<void> {
    const entry = this.#wanted.get(channel)
    if (entry) await this.#granted(channel, entry, signal)
  }

  async #granted(channel: string, entry: Deferred, signal: AbortSignal | undefined): Promise<void> {
    await abortable(entry.promise, signal)
    const refusal = this.#refused.get(channel)
    if (refusal) throw refusal
  }

  unlisten(channel: string): void {
    if (!this.#wanted.delete(channel)) return
    this.#refused.delete(channel)
    this.#touch(channel)
  }

  #touch(channel: string): void {
    this.#dirty.add(channel)
    this.#wake.emit('wake')
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
          observe({ type: 'database.connected', afterAttempts: attempt, channels: this.#active.size })
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
    const channels = this.#wanted.size
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
    for (const channel of this.#active) {
      // Subscribers that join during the outage wait for the next LISTEN.
      if (this.#wanted.has(channel)) this.#wanted.set(channel, createDeferred())
    }
    if (this.#active.size > 0) this.#options.onLost()
    this.#active.clear()
    this.#dirty.clear()
    for (const channel of this.#wanted.keys()) this.#dirty.add(channel)
  }

  async #session(onReady: () => void): Promise<void> {
    const { heartbeat, observe, onNotification } = this.#options
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
      onNotification(channel, payload, isUnasked) {
        proof.heard(isUnasked)
        if (channel === PROOF_CHANNEL) return
        onNotification(channel, payload, !isAscii || isText(payload))
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
      } else if (this.#dirty.size > 0) {
        await this.#reconcile(connection)
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

  async #reconcile(connection: ListenConnection): Promise<void> {
    const dropped: string[] = []
    const added: string[] = []
    for (const channel of this.#dirty) {
      this.#dirty.delete(channel)
      if (this.#wanted.has(channel) === this.#active.has(channel) || this.#refused.has(channel)) continue
      if (this.#active.delete(channel)) dropped.push(channel)
      else added.push(channel)
      if (dropped.length + added.length >= CHANNELS_PER_STATEMENT) break
    }
    if (dropped.length + added.length === 0) return
    const refused = await this.#apply(connection, dropped, added)
    for (const channel of dropped) this.#options.observe({ type: 'channel.released', channel })
    const listening = added.filter(channel => !refused.has(channel))
    for (const channel of listening) {
      this.#active.add(channel)
      this.#options.observe({ type: 'channel.listening', channel })
    }
    this.#options.onListening(listening)
    for (const channel of added) this.#wanted.get(channel)?.resolve()
  }

  /** All in one message; if that fails because of an impossible name, one by one. @returns the impossible channels */
  async #apply(
    connection: ListenConnection,
    dropped: readonly string[],
    added: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const drop = dropped.map(channel => `unlisten ${pg.escapeIdentifier(channel)}`)
    const listen = (channel: string) => `listen ${pg.escapeIdentifier(channel)}`
    const refused = new Set<string>()
    try {
      await connection.run([...drop, ...added.map(listen)].join(';'))
      return refused
    } catch (error) {
      if (!isLacking(error)) throw error
    }
    if (drop.length > 0) await connection.run(drop.join(';'))
    for (const channel of added) {
      try {
        await connection.run(listen(channel))
      } catch (error) {
        if (!isLacking(error)) throw error
        refused.add(channel)
        if (this.#wanted.has(channel)) this.#refused.set(channel, cannotBe(channel, error))
      }
    }
    return refused
  }

  /** Compares the channels that Postgres listens to; detects a dead peer, and a pooler that runs the query in another session. */
  async #heartbeat(connection: ListenConnection, isPooled: boolean): Promise<void> {
    const { rows } = await connection.run(
      'select pg_catalog.count(*)::pg_catalog.int4 as count from pg_catalog.pg_listening_channels()',
    )
    const wanted = this.#active.size + 1 // with the channel of the proof
    if (rows[0]?.count === wanted) return
    throw new DeafError(
      isPooled,
      `Postgres listens to ${rows[0]?.count} channels for this session instead of ${wanted}`,
    )
  }
}

/** The encoding of the database lacks a character. */
function isLacking(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.untranslatableCharacter)
}

function cannotBe(channel: string, cause: unknown): ListenqlError {
  return new ListenqlError(
    'CHANNEL_NAME_INVALID',
    `no channel can be called '${channel}': the encoding of the database lacks a character of it`,
    { cause },
  )
}
