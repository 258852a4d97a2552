import type { SubscriptionHandle } from '../../delivery/subscription.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { createTokenBucket, type TokenBucket } from '../../lib/limits/token-bucket.js'
import type { Cursors } from '../../log/cursors.js'
import { ExternalIterator } from './external-iterator.js'
import { positionEntry, positionsMessage } from './graphql-ws-messages.js'

/** See the options of the same names. */
export interface SubscriptionLimits {
  readonly maxSubscriptionsPerConnection: number
  /** Operations per second. */
  readonly subscribeRate: number
}

interface Accepted {
  readonly handle: SubscriptionHandle
  /** Its `fail` ends the subscription with an `error` message. */
  readonly iterator: ExternalIterator
}

/**
 * The subscriptions of one WebSocket by id: those that wait to be accepted (an AbortController) and those that have been accepted.
 * graphql-ws ends the latter, but not the former: a client that completes an id may use it again while the first one still waits.
 */
export class SocketSubscriptions {
  readonly #byId = new Map<string, AbortController | Accepted>()
  readonly #limits: SubscriptionLimits
  readonly #bucket: TokenBucket
  /** Operations in progress, whether their client still waits for them or not. */
  running = 0

  constructor(limits: SubscriptionLimits) {
    const { subscribeRate, maxSubscriptionsPerConnection } = limits
    this.#limits = limits
    this.#bucket = createTokenBucket(subscribeRate, Math.max(subscribeRate, maxSubscriptionsPerConnection))
  }

  /** The number of subscriptions, waiting and accepted. */
  get size(): number {
    return this.#byId.size
  }

  /** The ids of all of them. */
  ids(): IterableIterator<string> {
    return this.#byId.keys()
  }

  /** Counts one more operation. @returns the limit that it exceeds; undefined if it is allowed */
  excess(): LimitExceeded | undefined {
    const { subscribeRate, maxSubscriptionsPerConnection } = this.#limits
    if (!this.#bucket.take()) {
      return new LimitExceeded(
        'subscribeRate',
        subscribeRate,
        `You begin more than ${subscribeRate} operations each second on one WebSocket.`,
        'wait a moment',
      )
    }
    if (this.#byId.size + this.running < maxSubscriptionsPerConnection) return undefined
    let waiting = 0
    for (const subscription of this.#byId.values()) if (subscription instanceof AbortController) waiting++
    const accepted = this.#byId.size - waiting
    // An operation that runs while its client waits for it is one operation.
    if (Math.max(waiting, this.running) + accepted < maxSubscriptionsPerConnection) return undefined
    return new LimitExceeded(
      'maxSubscriptionsPerConnection',
      maxSubscriptionsPerConnection,
      `You have more than ${maxSubscriptionsPerConnection} subscriptions on one WebSocket.`,
      'complete some',
    )
  }

  /** Registers an operation whose client waits for it. @returns aborts when the client completes it or leaves */
  wait(id: string): AbortSignal {
    const left = new AbortController()
    this.#byId.set(id, left)
    return left.signal
  }

  /** The client no longer waits: the operation has a result, or has failed. No effect if it has been accepted or abandoned. */
  endWait(id: string, left: AbortSignal): void {
    const waiting = this.#byId.get(id)
    if (waiting instanceof AbortController && waiting.signal === left) this.#byId.delete(id)
  }

  /** @returns the iterator for graphql-ws, which leaves the group when it ends */
  accept(id: string, handle: SubscriptionHandle): ExternalIterator {
    const iterator = new ExternalIterator(() => {
      handle.leave()
      if (this.#byId.get(id) === accepted) this.#byId.delete(id)
    })
    const accepted: Accepted = { handle, iterator }
    this.#byId.set(id, accepted)
    return iterator
  }

  /** Ends an accepted subscription with an error. */
  fail(id: string, error: Error): void {
    this.#acceptedBy(id)?.iterator.fail(error)
  }

  /** Aborts an operation whose client still waits for it. */
  abandon(id: string): void {
    const waiting = this.#byId.get(id)
    if (!(waiting instanceof AbortController)) return
    waiting.abort()
    this.#byId.delete(id)
  }

  /** The client has left. */
  abandonAll(): void {
    for (const id of [...this.#byId.keys()]) this.abandon(id)
  }

  /**
   * The message with the positions of accepted subscriptions.
   * @param ids default: all
   */
  positions({ encode }: Pick<Cursors, 'encode'>, ids: Iterable<string> = this.#byId.keys()): string {
    const entries: string[] = []
    for (const id of ids) {
      const accepted = this.#acceptedBy(id)
      if (!accepted) continue
      const position = accepted.handle.position()
      entries.push(positionEntry(id, position && encode(position)))
    }
    return positionsMessage(entries)
  }

  #acceptedBy(id: string): Accepted | undefined {
    const subscription = this.#byId.get(id)
    return subscription instanceof AbortController ? undefined : subscription
  }
}
