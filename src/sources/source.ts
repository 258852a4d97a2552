import { ListenqlError } from '../lib/errors.js'
import { createEventQueue } from '../lib/event-queue.js'
import type { Account } from '../lib/limits/account.js'
import type { Stop } from '../lib/stop.js'
import type { Cursors } from '../log/cursors.js'
import { comparePositions, decodePlain, type Position } from '../log/position.js'

/** What is listened to: a topic is (kind, name). */
export interface Topic {
  readonly kind: 'channel' | 'table'
  readonly name: string
}

/** Who is told of a source's events. Called synchronously; may not throw. */
export interface Follower<Event> {
  event(event: Event): void
  /** The source has ended for good; nothing comes after this. */
  end(error: ListenqlError): void
  /** Pays for the work of finding out which events are for it. Default: nobody counts. */
  readonly account?: Account | undefined
}

export interface ReplayPage<Event> {
  readonly events: readonly Event[]
  /** Everything at or before it has been read. */
  readonly position: Position
}

/** The past of a source, for those who come back. */
export interface Replay<Event> {
  /** How far live events have been handed on: all of them, up to here, and none behind it. */
  position(): Position
  /** Where somebody stands who has been told everything so far: at `position()`, or behind it where the history begins later. */
  start(): Position
  /**
   * What comes after a position, a page at a time. The log is read for all topics: a page may hold nothing for this one.
   * @param account pays for finding out which events are wanted. Default: nobody counts
   * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED; LIMIT_EXCEEDED if that takes too much work
   */
  read(after: Position, signal?: AbortSignal, account?: Account): Promise<ReplayPage<Event>>
  /** What is to be said between the past and the present. */
  seam(): readonly Event[]
}

export interface SourceOptions<Event> {
  open(follower: Follower<Event>, signal?: AbortSignal): Promise<Stop>
  live(signal?: AbortSignal): Promise<void>
  /** Where an event stands; undefined if it is not in the log, as a plain NOTIFY. */
  positionOf?(event: Event): Position | undefined
  /** Whether positions before this event say nothing about what comes after it: a failover has lost the log that was followed. */
  endsHistory?(event: Event): boolean
  /** About how many bytes an event holds that came unasked for, as a notification does. Default: 0, its source is paced. */
  sizeOf?(event: Event): number
  /** The past, if events are kept; asked for once the source is open. */
  replay?(): Replay<Event> | undefined
  /** Whom it is for, if that is decided for each: of two with other keys one may show what the other does not. */
  readonly audience?: string | undefined
  /** The cursor to start after, as the client wrote it. */
  readonly after?: string | undefined
  /** Reads it. Default: takes plain cursors only, as where there is no event log. */
  readonly decode?: Cursors['decode']
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
   * Opens at once, at `after` if that is given, and queues what comes until it is asked for.
   * @param limit events that may wait before the iteration ends with an error, since a reader that is gone would fill the memory
   * @throws ListenqlError CURSOR_INVALID
   */
  async iterate(limit = 100_000, signal?: AbortSignal): Promise<AsyncIterableIterator<Event>> {
    const position = this.after === undefined ? undefined : await this.decode(this.after, signal)
    const queue = createEventQueue<Event>(limit)
    let isLevel = position === undefined
    const stop = await this.open(
      {
        // Before it is level, what is live is in the log as well, and read from there.
        event: event => isLevel && queue.push(event),
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
    const level = () => {
      isLevel = true
    }
    const resumed = this.#resume(replay, position, level, queue.iterator, signal)
    const iterator: AsyncIterableIterator<Event> = {
      next: () => resumed.next(),
      // A generator that waits for a live event would not hear of it: the queue does.
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
    level: () => void,
    live: AsyncIterableIterator<Event>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Event, undefined, undefined> {
    let position = after
    try {
      for (let isLevel = false; !isLevel; ) {
        const page = await replay.read(position, signal)
        position = page.position
        isLevel = comparePositions(position, replay.position()) >= 0
        if (isLevel) level()
        yield* page.events
      }
      yield* replay.seam()
      let seen: Position | undefined = position
      for await (const event of live) {
        if (this.endsHistory(event)) seen = undefined
        const at = this.positionOf(event)
        // The log may have been read further than live events had been handed on.
        if (!at || !seen || comparePositions(at, seen) > 0) yield event
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
