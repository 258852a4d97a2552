import { createEventQueue } from '../lib/event-queue.js'
import type { Position } from './cursor.js'

/** What is listened to: a topic is (kind, name). */
export interface Topic {
  readonly kind: 'channel'
  readonly name: string
}

export type Stop = () => void

export interface ReplayPage<Event> {
  readonly events: readonly Event[]
  /** Everything at or before it has been read. */
  readonly position: Position
  /** There was nothing more in the log. */
  readonly isLast: boolean
}

/** The past of a source, for those who come back. */
export interface Replay<Event> {
  /** How far live events have been handed on: all of them, up to here, and none behind it. */
  position(): Position
  /** What comes after a position, a page at a time. The log is read for all topics: a page may hold nothing for this one. */
  read(after: Position, signal?: AbortSignal): Promise<ReplayPage<Event>>
  /** Where an event stands; undefined if it is not in the log, as a plain NOTIFY. */
  positionOf(event: Event): Position | undefined
  /** What is to be said between the past and the present. */
  seam(): readonly Event[]
}

export interface SourceOptions<Event> {
  open(listener: (event: Event) => void, signal?: AbortSignal): Promise<Stop>
  live(signal?: AbortSignal): Promise<void>
  /** Set if events are kept. */
  readonly replay?: Replay<Event>
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

  get replay(): Replay<Event> | undefined {
    return this.#options.replay
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
