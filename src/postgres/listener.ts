import { createTimer } from '../lib/abort.js'
import type { Failure } from '../lib/observation.js'
import type { ListenConnection } from './listen-connection.js'
import { DeafError, type ListenSessionOptions, runListenSession } from './listen-session.js'
import { ListenedChannels, type Reconciled } from './listened-channels.js'
import { type FailureDetails, reconnect } from './reconnect.js'

export interface ListenerOptions
  extends Pick<ListenSessionOptions, 'config' | 'heartbeat' | 'lend' | 'connectTimeout' | 'observe'> {
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
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

/**
 * The one LISTEN connection of a process. Requested channels (`listen`, `unlisten`) and those that Postgres listens to are
 * reconciled on one serial chain, so calls may come at any time and in any order; after a loss all requested channels are restored.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #timer = createTimer()
  readonly #channels = new ListenedChannels(this.#timer.wake)
  readonly #handlers = new Set<ListenerHandlers>()
  /** Channels of the server's own, which are never unlistened. */
  readonly #kept = new Map<string, ChannelHandler>()
  readonly #stop = new AbortController()
  #connection: ListenConnection | undefined
  #ready = false
  #isDeaf = false
  #paused = false
  #running: Promise<void> | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
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
    this.#timer.wake()
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
          this.#ready = true
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

  #session(onReady: () => void): Promise<void> {
    return runListenSession({
      ...this.#options,
      channels: this.#channels,
      timer: this.#timer,
      isPaused: () => this.#paused,
      onOpen: connection => {
        this.#connection = connection
      },
      onNotification: (channel, payload, isWhole) => {
        this.#kept.get(channel)?.notify(payload)
        for (const handlers of this.#handlers) handlers.onNotification(channel, payload, isWhole)
      },
      onReconciled: reconciled => this.#reconciled(reconciled),
      onReady,
      signal: this.#stop.signal,
    })
  }

  #reconciled({ listening, released }: Reconciled): void {
    const { observe } = this.#options
    for (const channel of released) observe({ type: 'channel.released', channel })
    for (const channel of listening) observe({ type: 'channel.listening', channel })
    for (const channel of listening) this.#kept.get(channel)?.onListening(true)
    for (const handlers of this.#handlers) handlers.onListening(listening)
  }
}
