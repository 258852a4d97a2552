import { createDeferred, type Deferred } from '../../src/lib/deferred.js'
import type { ListenerHandlers, Listener as RealListener } from '../../src/postgres/listener.js'

/** Replaces the LISTEN connection: delivers the notifications of a test while it is connected. */
export class FakedListener implements Pick<RealListener, 'attach' | 'listen' | 'whenListening' | 'unlisten'> {
  readonly #handlers: ListenerHandlers[] = []
  readonly #channels = new Set<string>()
  #away: Deferred | undefined

  attach(handlers: ListenerHandlers): void {
    this.#handlers.push(handlers)
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

  notify(channel: string, payload: string): void {
    if (!this.#channels.has(channel)) return
    for (const handlers of this.#handlers) handlers.onNotification(channel, payload, true)
  }

  lose(): void {
    if (this.#away) return
    this.#away = createDeferred()
    for (const handlers of this.#handlers) handlers.onLost()
  }

  recover(): void {
    if (!this.#away) return
    for (const handlers of this.#handlers) handlers.onListening([...this.#channels])
    this.#away.resolve()
    this.#away = undefined
  }
}
