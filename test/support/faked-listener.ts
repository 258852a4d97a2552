import { createDeferred, type Deferred } from '../../src/lib/deferred.js'
import type { ListenerOptions, Listener as RealListener } from '../../src/postgres/listener.js'

type Handlers = Pick<ListenerOptions, 'onNotification' | 'onListening' | 'onLost'>

/** In place of the LISTEN connection: hears what a test says, while it is connected. */
export class Listener implements Pick<RealListener, 'listen' | 'whenListening' | 'unlisten' | 'close'> {
  /** The last one that was created. */
  static last: Listener
  readonly #handlers: Handlers
  readonly #channels = new Set<string>()
  #away: Deferred | undefined

  constructor(handlers: Handlers) {
    this.#handlers = handlers
    Listener.last = this
  }

  get isAway(): boolean {
    return this.#away !== undefined
  }

  async listen(channel: string): Promise<void> {
    this.#channels.add(channel)
    await this.#away?.promise
  }

  async whenListening(): Promise<void> {
    await this.#away?.promise
  }

  unlisten(channel: string): void {
    this.#channels.delete(channel)
  }

  async close(): Promise<void> {}

  notify(channel: string, payload: string): void {
    if (this.#channels.has(channel)) this.#handlers.onNotification(channel, payload, true)
  }

  lose(): void {
    if (this.#away) return
    this.#away = createDeferred()
    this.#handlers.onLost()
  }

  recover(): void {
    if (!this.#away) return
    this.#handlers.onListening([...this.#channels])
    this.#away.resolve()
    this.#away = undefined
  }
}
