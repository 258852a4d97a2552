import { ListenqlError } from '../lib/errors.js'
import { createEventQueue } from '../lib/event-queue.js'
import type { Account } from '../lib/limits/account.js'
import type { Stop } from '../lib/stop.js'
import type { Cursors } from '../log/cursors.js'
import { decodePlain, type Position } from '../log/position.js'
import { handedOnIn, type JoinedReader, joinIfLevel, pagesAfter, type Replay, wasServed } from './resume.js'

/** What is listened to: a topic is (kind, name). */
export interface Topic {
  readonly kind: 'channel' | 'table'
  readonly name: string
}

/** Gets the events of a source. Called synchronously; may not throw. */
export interface Follower<Event> {
  event(event: Event): void
  /** The source has ended for good; nothing comes after this. */
  end(error: ListenqlError): void
  /** Pays for the work of finding out which events it gets. Default: the work is not counted. */
  readonly account?: Account | undefined
  /**
   * Whether it goes on where it stood with a former source, as after a change of the schema, and so gets what lies between.
   * Default: it begins now, and needs nothing that was committed before `open` resolves.
   */
  readonly goesOn?: boolean | undefined
}

export interface SourceOptions<Event> {
  open(follower: Follower<Event>, signal?: AbortSignal): Promise<Stop>
  live(signal?: AbortSignal): Promise<void>
  /** Position of an event; undefined if it is not in the log (a plain NOTIFY). */
  positionOf?(event: Event): Position | undefined
  /** Whether positions before this event say nothing about what comes after it: a failover has lost the log that was followed. */
  endsHistory?(event: Event): boolean
  /** About how many bytes an event holds that came unasked for, as a notification does. Default: 0, its source is paced. */
  sizeOf?(event: Event): number
  /** The past, if events are kept; asked for once the source is open. */
  replay?(): Replay<Event> | undefined
  /** Key of the viewer, if each viewer may see other events. */
  readonly audience?: string | undefined
  /** The cursor to start after, as the client wrote it. */
  readonly after?: string | undefined
  /** Reads it. Default: takes plain cursors only, as where there is no event log. */
  readonly decode?: Cursors['decode']
}

/**
 * Where the events of a subscription come from. It is an ordinary async iterable, so that a schema that returns it works
 * under any GraphQL server; our own transports recognise it and share one `open` among all subscribers with equal requests.
 */
export class EventSource<Event = unknown> implements AsyncIterable<Event> {
  readonly topic: Topic
  readonly #options: SourceOptions<Event>

  constructor(topic: Topic, options: SourceOptions<Event>) {
    this.topic = topic
    this.#options = options
  }

  get audience(): string | undefined {
    return this.#options.audience
  }

  get after(): string | undefined {
    return this.#options.after
  }

  /** @throws ListenqlError see `Cursors` */
  async decode(cursor: unknown, signal?: AbortSignal): Promise<Position> {
    return this.#options.decode ? this.#options.decode(cursor, signal) : decodePlain(cursor)
  }

  /** Resolves once nothing that is committed from now on can be missed. */
  open(follower: Follower<Event>, signal?: AbortSignal): Promise<Stop> {
    return this.#options.open(follower, signal)
  }

  /** For a source that is open: resolves at once, or, during an outage, once it is over and nothing can be missed again. */
  live(signal?: AbortSignal): Promise<void> {
    return this.#options.live(signal)
  }

  positionOf(event: Event): Position | undefined {
    return this.#options.positionOf?.(event)
  }

  endsHistory(event: Event): boolean {
    return this.#options.endsHistory?.(event) ?? false
  }

  sizeOf(event: Event): number {
    return this.#options.sizeOf?.(event) ?? 0
  }

  /** For a source that is open: its past, if events are kept. */
  get replay(): Replay<Event> | undefined {
    return this.#options.replay?.()
  }

  /**
   * Opens at once, at `after` if that is given, and queues events until the reader asks for them.
   * @param limit events that may wait before the iteration ends with an error: a reader that is gone would fill the memory
   * @throws ListenqlError CURSOR_INVALID
   */
  async iterate(limit = 100_000, signal?: AbortSignal): Promise<AsyncIterableIterator<Event>> {
    const position = this.after === undefined ? undefined : await this.decode(this.after, signal)
    const queue = createEventQueue<Event>(limit)
    let hasJoined = position === undefined
    const stop = await this.open(
      {
        // Until the reader has joined, it reads from the log what is handed on here.
        event: event => hasJoined && queue.push(event),
        end: queue.fail,
      },
      signal,
    )
    queue.onReturn(stop)
    if (position === undefined) return queue.iterator
    const replay = this.replay
    if (!replay) {
      stop()
      throw noHistory()
    }
    const join = () => {
      hasJoined = true
    }
    const resumed = this.#resume(replay, position, join, queue.iterator, signal)
    const iterator: AsyncIterableIterator<Event> = {
      next: () => resumed.next(),
      // A generator that waits for a live event cannot be ended; the queue that it waits for can.
      return: async () => {
        await queue.iterator.return?.()
        return resumed.return(undefined)
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  async *#resume(
    replay: Replay<Event>,
    after: Position,
    join: () => void,
    live: AsyncIterableIterator<Event>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Event, undefined, undefined> {
    const reader: JoinedReader = { seen: undefined }
    try {
      const pages = pagesAfter(after, position => replay.read(position, signal))
      for await (const page of pages) {
        const { events, position } = page
        const hasJoined = joinIfLevel(
          position,
          () => handedOnIn(replay, page),
          () => {
            reader.seen = position
            join()
          },
        )
        yield* events
        if (hasJoined) break
      }
      yield* replay.seam()
      for await (const event of live) {
        if (!wasServed(reader, this.positionOf(event), this.endsHistory(event))) yield event
      }
      return undefined
    } finally {
      await live.return?.()
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    yield* await this.iterate()
  }
}

/** For a position where nothing is kept. */
export function noHistory(): ListenqlError {
  return new ListenqlError(
    'CURSOR_INVALID',
    'there is nothing to resume from: this database has no event log',
    {
      hint: 'subscribe without a position; `listenql watch` or `listenql install` makes the log',
    },
  )
}
