import pg from 'pg'
import { abortable } from '../lib/abort.js'
import { createDeferred, type Deferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import type { ListenConnection } from './listen-connection.js'
import { hasSqlState, SQL_STATE } from './sql-state.js'

/** LISTEN statements in one round trip. They share a transaction, so that a thousand channels are back in milliseconds. */
const CHANNELS_PER_STATEMENT = 500

/** What one round trip has changed. */
export interface Reconciled {
  readonly listening: readonly string[]
  readonly released: readonly string[]
}

/**
 * The channels that are requested, and those that the connection listens to. Requests may come at any time and in any order;
 * `reconcile` makes the two agree. After the loss of a connection every requested channel is listened to again.
 */
export class ListenedChannels {
  readonly #requested = new Map<string, Deferred>()
  readonly #active = new Set<string>()
  /** Channels that are requested and impossible: the encoding of the database lacks a character of their names. */
  readonly #refused = new Map<string, ListenqlError>()
  /** Channels to reconcile; ten thousand subscribers must not cost a scan of all channels each. */
  readonly #dirty = new Set<string>()
  readonly #onDirty: () => void

  /** @param onDirty called when there is something to reconcile */
  constructor(onDirty: () => void) {
    this.#onDirty = onDirty
  }

  /** How many channels are requested. */
  get requested(): number {
    return this.#requested.size
  }

  /** How many channels the connection listens to. */
  get active(): number {
    return this.#active.size
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0
  }

  /**
   * Resolves once LISTEN has returned.
   * @throws ListenqlError CHANNEL_NAME_INVALID if the encoding of the database lacks a character of the name
   */
  listen(channel: string, signal?: AbortSignal): Promise<void> {
    let entry = this.#requested.get(channel)
    if (!entry) {
      entry = createDeferred()
      this.#requested.set(channel, entry)
      if (this.#active.has(channel)) entry.resolve() // its UNLISTEN has not been sent yet
      this.#touch(channel)
    }
    return this.#granted(channel, entry, signal)
  }

  /** For a requested channel: as `listen`. For another one: resolves at once. */
  async whenListening(channel: string, signal?: AbortSignal): Promise<void> {
    const entry = this.#requested.get(channel)
    if (entry) await this.#granted(channel, entry, signal)
  }

  unlisten(channel: string): void {
    if (!this.#requested.delete(channel)) return
    this.#refused.delete(channel)
    this.#touch(channel)
  }

  /** The connection is lost. @returns whether it listened to any channel */
  lost(): boolean {
    for (const channel of this.#active) {
      // Subscribers that join during the outage wait for the next LISTEN.
      if (this.#requested.has(channel)) this.#requested.set(channel, createDeferred())
    }
    const wasActive = this.#active.size > 0
    this.#active.clear()
    this.#dirty.clear()
    for (const channel of this.#requested.keys()) this.#dirty.add(channel)
    return wasActive
  }

  /**
   * Sends LISTEN and UNLISTEN for some of the channels that need one.
   * @param onReconciled called before the requests resolve
   */
  async reconcile(
    connection: ListenConnection,
    onReconciled: (reconciled: Reconciled) => void,
  ): Promise<void> {
    const released: string[] = []
    const added: string[] = []
    for (const channel of this.#dirty) {
      this.#dirty.delete(channel)
      if (this.#requested.has(channel) === this.#active.has(channel) || this.#refused.has(channel)) continue
      if (this.#active.delete(channel)) released.push(channel)
      else added.push(channel)
      if (released.length + added.length >= CHANNELS_PER_STATEMENT) break
    }
    if (released.length + added.length === 0) return
    const refused = await this.#apply(connection, released, added)
    const listening = added.filter(channel => !refused.has(channel))
    for (const channel of listening) this.#active.add(channel)
    onReconciled({ listening, released })
    for (const channel of added) this.#requested.get(channel)?.resolve()
  }

  async #granted(channel: string, entry: Deferred, signal: AbortSignal | undefined): Promise<void> {
    await abortable(entry.promise, signal)
    const refusal = this.#refused.get(channel)
    if (refusal) throw refusal
  }

  #touch(channel: string): void {
    this.#dirty.add(channel)
    this.#onDirty()
  }

  /** All in one message; if that fails because of an impossible name, one by one. @returns the impossible channels */
  async #apply(
    connection: ListenConnection,
    released: readonly string[],
    added: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const unlisten = released.map(channel => `unlisten ${pg.escapeIdentifier(channel)}`)
    const listen = (channel: string) => `listen ${pg.escapeIdentifier(channel)}`
    const refused = new Set<string>()
    try {
      await connection.run([...unlisten, ...added.map(listen)].join(';'))
      return refused
    } catch (error) {
      if (!isLacking(error)) throw error
    }
    if (unlisten.length > 0) await connection.run(unlisten.join(';'))
    for (const channel of added) {
      try {
        await connection.run(listen(channel))
      } catch (error) {
        if (!isLacking(error)) throw error
        refused.add(channel)
        if (this.#requested.has(channel)) this.#refused.set(channel, cannotBe(channel, error))
      }
    }
    return refused
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
