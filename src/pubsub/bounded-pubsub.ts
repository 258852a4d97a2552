import {
  createPubSub,
  type PubSub,
  type PubSubEvent,
  type PubSubEventTarget,
} from '@graphql-yoga/subscription'
import { createEventQueue } from '../lib/event-queue.js'

/** The arguments of each topic: `[payload]`, or `[id, payload]` for a topic per id, or `[]`. */
export type PubSubTopics = Record<string, [] | [unknown] | [number | string, unknown]>

type TopicName<Topics extends PubSubTopics> = Extract<keyof Topics, string>

/** The types of createPubSub: an event without a payload arrives as null. */
type Payload<Detail> = Detail extends undefined ? null : Detail

/** Options of `createBoundedPubSub`. */
export interface BoundedPubSubOptions<Topics extends PubSubTopics> {
  /** Such as `createPostgresEventTarget()`; default: in memory. */
  readonly eventTarget?: PubSubEventTarget<Topics>
  /** Events that may wait for one subscription; default 100,000. */
  readonly limit?: number
}

/** `publish` and `subscribe` of createPubSub. */
export interface BoundedPubSub<Topics extends PubSubTopics> {
  /** Sends an event to the subscriptions of a topic, and through the event target. */
  publish: PubSub<Topics>['publish']
  /** The subscription is registered on return; that of createPubSub is registered at the first `next()` and loses earlier events. */
  subscribe<Name extends TopicName<Topics>>(
    ...args: Topics[Name][1] extends undefined ? [topic: Name] : [topic: Name, id: Topics[Name][0]]
  ): AsyncIterableIterator<Payload<PubSubEvent<Topics, Name>['detail']>>
}

/**
 * `createPubSub` of @graphql-yoga/subscription, safe under bursts with any event target: a subscription that is not read ends
 * with a ListenqlError SUBSCRIBER_TOO_SLOW once `limit` events wait for it, after these. createPubSub's own would throw at the
 * publisher (which ends the process if the target is in memory). Other subscriptions are not affected.
 */
export function createBoundedPubSub<Topics extends PubSubTopics>(
  options: BoundedPubSubOptions<Topics> = {},
): BoundedPubSub<Topics> {
  const { limit = 100_000 } = options
  const eventTarget = options.eventTarget ?? (new EventTarget() as PubSubEventTarget<Topics>)
  const { publish } = createPubSub<Topics>({ eventTarget })
  return {
    publish,
    subscribe<Name extends TopicName<Topics>>(...[name, id]: [topic: Name, id?: Topics[Name][0]]) {
      type Event = PubSubEvent<Topics, Name>
      const topic = id === undefined ? name : `${name}:${id}`
      const queue = createEventQueue<Payload<Event['detail']>>(limit)
      const listener = (event: Event) => queue.push(event.detail as Payload<Event['detail']>)
      eventTarget.addEventListener(topic, listener)
      queue.onReturn(() => eventTarget.removeEventListener(topic, listener))
      return queue.iterator
    },
  }
}
