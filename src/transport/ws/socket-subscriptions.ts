import type { GraphQLError } from 'graphql'
import type { SubscriptionHandle } from '../../delivery/subscription-handle.js'
import { FewMap } from '../../lib/collections/few-map.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { TokenBucket } from '../../lib/limits/token-bucket.js'
import type { Cursors } from '../../log/cursors.js'
import { positionEntry, positionsMessage } from './graphql-ws-messages.js'

/** See the options of the same names. */
export interface SubscriptionLimits {
  readonly maxSubscriptionsPerConnection: number
  /** Operations per second. */
  readonly subscribeRate: number
}

/**
 * The subscriptions of one WebSocket by id: those that wait to be accepted (an AbortController) and those that have been accepted.
 * graphql-ws knows the former, but does not abort them: a client that completes an id may use it again while the first one still
 * waits. It has forgotten the latter.
 */
export class SocketSubscriptions {
  readonly #byId = new FewMap<AbortController | SubscriptionHandle>()
  readonly #limits: SubscriptionLimits
  readonly #bucket: TokenBucket
  /** Operations in progress, whether their client still waits for them or not. */
  running = 0

  constructor(limits: SubscriptionLimits) {
    this.#limits = limits
    this.#bucket = new TokenBucket(this.#burst)
  }

  /** The number of subscriptions, waiting and accepted. */
  get size(): number {
    return this.#byId.size
  }

  /** The ids of all of them. */
  ids(): readonly string[] {
    return this.#byId.keys()
  }

  /** Counts one more operation. @returns the limit that it exceeds; undefined if it is allowed */
  excess(): LimitExceeded | undefined {
    const { subscribeRate, maxSubscriptionsPerConnection } = this.#limits
    if (!this.#bucket.take(subscribeRate, this.#burst)) {
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

  accept(id: string, subscription: SubscriptionHandle): void {
    this.#byId.set(id, subscription)
  }

  isAccepted(id: string): boolean {
    return this.#acceptedBy(id) !== undefined
  }

  /** Ends an accepted subscription with an error, for observations. @returns whether there was one */
  fail(id: string, error: GraphQLError): boolean {
    const accepted = this.#acceptedBy(id)
    if (!accepted) return false
    this.#byId.delete(id)
    accepted.leave(String(error.extensions.code ?? 'ended'))
    return true
  }

  /** The client has completed an operation: leaves an accepted one, aborts one that waits. */
  complete(id: string): void {
    const subscription = this.#byId.get(id)
    this.#byId.delete(id)
    if (subscription instanceof AbortController) subscription.abort()
    else subscription?.leave()
  }

  /** The client has left. */
  completeAll(): void {
    for (const id of this.ids()) this.complete(id)
  }

  /**
   * The message with the positions of accepted subscriptions.
   * @param ids default: all
   */
  positions({ encode }: Pick<Cursors, 'encode'>, ids: readonly string[] = this.ids()): string {
    const entries: string[] = []
    for (const id of ids) {
      const accepted = this.#acceptedBy(id)
      if (!accepted) continue
      const position = accepted.position()
      entries.push(positionEntry(id, position && encode(position)))
    }
    return positionsMessage(entries)
  }

  get #burst(): number {
    return Math.max(this.#limits.subscribeRate, this.#limits.maxSubscriptionsPerConnection)
  }

  #acceptedBy(id: string): SubscriptionHandle | undefined {
    const subscription = this.#byId.get(id)
    return subscription instanceof AbortController ? undefined : subscription
  }
}
