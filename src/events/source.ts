import { createEventQueue } from '../lib/event-queue.js'

/** What is listened to: a topic is (kind, name). */
export interface Topic {
  readonly kind: 'channel'
  readonly name: string
}

export type Stop = () => void

export interface SourceOptions<Event> {
  open(listener: (event: Event) => void, signal?: AbortSignal): Promise<Stop>
  live(signal?: AbortSignal): Promise<void>
}

/**
 * Where the events of a subscription come from. It is an ordinary async iterable, so that a schema that returns it works
 * under any GraphQL server; our own transports recognise it and share one `open` among all subscribers that ask the same.
 */
export class EventSource<Event = unknown> implements AsyncIterable<Event> {
  readonly topic: Topic
  readonly #options: SourceOptions<Event>

  constructor(topic: Topic, options: SourceOptions<Event>) {
    this.topic = topic
    this.#options = options
  }

  /** Resolves once nothing that is committed from now on can be missed. `listener` is called synchronously and may not throw. */
  open(listener: (event: Event) => void, signal?: AbortSignal): Promise<Stop> {
    return this.#options.open(listener, signal)
  }

  /** For a source that is open: resolves at once, or, during an outage, once it is over and nothing can be missed again. */
  live(signal?: AbortSignal): Promise<void> {
    return this.#options.live(signal)
  }

  /**
   * Opens at once and queues what comes until it is asked for.
   * @param limit events that may wait before the iteration ends with an error, since a reader that is gone would fill the memory
   */
  async iterate(limit = 100_000, signal?: AbortSignal): Promise<AsyncIterableIterator<Event>> {
    const queue = createEventQueue<Event>(limit)
    queue.onReturn(await this.open(queue.push, signal))
    return queue.iterator
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    yield* await this.iterate()
  }
}
