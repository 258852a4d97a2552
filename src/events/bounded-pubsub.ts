import { createPubSub, type PubSub, type PubSubEventTarget } from '@graphql-yoga/subscription'
import { createEventQueue } from '../lib/event-queue.js'

type Topics = Record<string, [] | [unknown] | [number | string, unknown]>

export interface BoundedPubSub<T extends Topics> extends Pick<PubSub<T>, 'publish'> {
  /** Registered at once, unlike createPubSub's, which loses what comes before the first `next()`. */
  subscribe(
    ...args: Parameters<PubSub<T>['subscribe']>
  ): AsyncIterableIterator<
    ReturnType<PubSub<T>['subscribe']> extends AsyncIterable<infer Value> ? Value : never
  >
}

/**
 * `createPubSub` of @graphql-yoga/subscription, safe under bursts: a subscription that is not read ends with an error of its
 * own once `limit` events wait for it, instead of throwing at whoever published.
 * @param config.eventTarget such as `createPostgresEventTarget()`; default: in memory
 * @param config.limit events that may wait for one subscription; default 100,000
 */
export function createBoundedPubSub<T extends Topics>(config: {
  readonly eventTarget?: PubSubEventTarget<T>
  readonly limit?: number
}): BoundedPubSub<T> {
  const eventTarget = config.eventTarget ?? (new EventTarget() as PubSubEventTarget<T>)
  const { publish } = createPubSub<T>({ eventTarget })
  return {
    publish,
    subscribe(...[key, id]) {
      const topic = id === undefined ? key : `${key}:${id}`
      const queue = createEventQueue<never>(config.limit ?? 100_000)
      const listener = (event: { detail: unknown }) => queue.push(event.detail as never)
      eventTarget.addEventListener(topic as never, listener as never)
      queue.onReturn(() => eventTarget.removeEventListener(topic as never, listener as never))
      return queue.iterator
    },
  }
}
