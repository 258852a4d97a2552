import { ListenqlError } from '../lib/errors.js'
import { createEventQueue } from '../lib/event-queue.js'
import type { Account } from '../lib/limits/account.js'
import type { Stop } from '../lib/stop.js'
import type { Cursors } from '../log/cursors.js'
import { decodePlain, type Position, START_OVER } from '../log/position.js'
import type { InitialStateReader } from './initial-state.js'
import { iterateWithInitialState } from './iterate-with-initial-state.js'
import {
  type JoinedReader,
  joinIfLevel,
  livePositionIn,
  pagesAfter,
  type Replay,
  wasReplayed,
} from './resume.js'
import type { RowLists } from './row-lists.js'

/** What a source delivers events of: a channel or a table may have the same name. */
export interface Topic {
  readonly kind: 'channel' | 'table'
  readonly name: string
}

/** Receives the events of a source. Its methods are called synchronously and must not throw. */
export interface Follower<Event> {
  event(event: Event): void
  /** The source has ended; no call follows. */
  end(error: ListenqlError): void
  /** Pays for the work of filtering its events. Default: the work is not counted. */
  readonly account?: Account | undefined
  /**
   * The position of a former source that it continues, as after a change of the schema: it then gets every event after that
   * position. Default: it begins anew, and needs no event that was committed before `open` resolves.
   */
  readonly continuesAfter?: Position | undefined
}

export interface SourceOptions<Event> {
  open(follower: Follower<Event>, signal?: AbortSignal): Promise<Stop>
  /** See EventSource. It also resolves when the source is closed, since a subscriber that waits may join another one. */
  live(signal?: AbortSignal): Promise<void>
  /** The position of an event. Undefined: it is not in the log (a plain NOTIFY). */
  positionOf?(event: Event): Position | undefined
  /** When an event was made, by the clock of the database. Undefined: that is not known. */
  madeAt?(event: Event): Date | undefined
  /** Whether the event marks the end of a history, as after a failover: positions before it cannot be compared with later ones. */
  endsHistory?(event: Event): boolean
  /**
   * About how many bytes an event holds, for events that Postgres pushes (notifications). Default: 0, as for the log, which is
   * read at our pace.
   */
  sizeOf?(event: Event): number
  /** The past of the source, if its events are kept. Called once the source is open. */
  replay?(): Replay<Event> | undefined
  /** Makes a subscriber begin with the present state, and begin again where it would have lost events. Default: it does not. */
  readonly initialState?: InitialStateReader<Event> | undefined
  /** Delivers the events that the open source holds back. Default: it holds none back. */
  flush?(): void
  /**
   * Set if events are states: each replaces all earlier ones, a new subscriber begins with the newest one, and a position to resume
   * after is not needed. It returns equal texts for states that look the same to a client, so that the later one need not be sent.
   */
  stateOf?(event: Event): string
  /** Where events are states: the last position at which the newest event is known to hold. Undefined: it may not hold any more. */
  holdsAt?(): Position | undefined
  /** Where events are states: their lists. Default: each state is rendered as a whole. */
  readonly lists?: RowLists<Event> | undefined
  /** What a result tells of its event beside the data and the cursor. Default: nothing. */
  extensionsOf?(event: Event): Readonly<Record<string, unknown>>
  /** Key of the viewer, if the events that are visible depend on the viewer. */
  readonly audience?: string | undefined
  /** See EventSource. Default: undefined. */
  readonly meaning?: string | undefined
  /** The cursor to resume after, as the client sent it. */
  readonly after?: string | undefined
  /** Decodes cursors. Default: accepts plain cursors only. */
  readonly decode?: Cursors['decode']
}

/**
 * The source of the events of a subscription: every event from `open` on, or from a cursor on, exactly once and in order. It is an
 * ordinary async iterable, so a schema that returns it works under any GraphQL server. listenql's transports recognise it and share
 * one `open` among all subscribers with equal requests.
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

  /**
   * What the names in the request stand for. If another source has another meaning, it does not continue this one: the same fields
   * would be of another table or of other columns. Undefined: the same under every schema.
   */
  get meaning(): string | undefined {
    return this.#options.meaning
  }

  /** Whether each event replaces all earlier ones. */
  get isState(): boolean {
    return this.#options.stateOf !== undefined
  }

  stateOf(event: Event): string | undefined {
    return this.#options.stateOf?.(event)
  }

  get holdsAt(): Position | undefined {
    return this.#options.holdsAt?.()
  }

  /** The lists of its events, whose rows can be rendered one by one. */
  get lists(): RowLists<Event> | undefined {
    return this.#options.lists
  }

  extensionsOf(event: Event): Readonly<Record<string, unknown>> | undefined {
    return this.#options.extensionsOf?.(event)
  }

  get after(): string | undefined {
    return this.#options.after
  }

  /** How a subscriber begins with the present state. Undefined: it begins with the next event. */
  get initialState(): InitialStateReader<Event> | undefined {
    return this.#options.initialState
  }

  /**
   * The position of a cursor. A source that begins again takes a cursor of another database for a position that has expired.
   * @throws ListenqlError see `Cursors`
   */
  async decode(cursor: unknown, signal?: AbortSignal): Promise<Position> {
    try {
      return await (this.#options.decode ? this.#options.decode(cursor, signal) : decodePlain(cursor))
    } catch (error) {
      if (this.initialState?.startsOverAfter(error)) return START_OVER
      throw error
    }
  }

  /** Resolves once the follower gets every event that is committed from now on. */
  open(follower: Follower<Event>, signal?: AbortSignal): Promise<Stop> {
    return this.#options.open(follower, signal)
  }

  /**
   * For an open source: resolves once no event can be missed, that is at once, or during an outage when the outage is over. If
   * another source may replace it, it also resolves once it has been stopped.
   */
  live(signal?: AbortSignal): Promise<void> {
    return this.#options.live(signal)
  }

  positionOf(event: Event): Position | undefined {
    return this.#options.positionOf?.(event)
  }

  madeAt(event: Event): Date | undefined {
    return this.#options.madeAt?.(event)
  }

  endsHistory(event: Event): boolean {
    return this.#options.endsHistory?.(event) ?? false
  }

  sizeOf(event: Event): number {
    return this.#options.sizeOf?.(event) ?? 0
  }

  /** For an open source: delivers the events that it holds back. */
  flush(): void {
    this.#options.flush?.()
  }

  /** For an open source: its past, if its events are kept. */
  get replay(): Replay<Event> | undefined {
    return this.#options.replay?.()
  }

  /**
   * Opens the source at once, resumes after `after` if that is set, and queues events until the iterator is advanced.
   * @param limit how many events may wait before the iteration fails, since a reader that never advances would fill the memory
   * @throws ListenqlError CURSOR_INVALID
   */
  async iterate(limit = 100_000, signal?: AbortSignal): Promise<AsyncIterableIterator<Event>> {
    const position = this.after === undefined ? undefined : await this.decode(this.after, signal)
    if (this.initialState)
      return iterateWithInitialState(this, this.initialState, { after: position, limit, signal })
    return this.iterateAfter(position, limit, signal)
  }

  /**
   * `iterate` after a position.
   * @param position undefined: from the next event on
   */
  async iterateAfter(
    position: Position | undefined,
    limit: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterableIterator<Event>> {
    const queue = createEventQueue<Event>(limit)
    let hasJoined = position === undefined
    const stop = await this.open(
      {
        // Until the reader has joined, it reads these events from the log.
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
      // `return` of a generator takes effect only after its pending `await`, so the queue that it waits for is ended first.
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
          () => livePositionIn(replay, page),
          () => {
            reader.seen = position
            replay.split?.(position)
            join()
          },
        )
        yield* events
        if (hasJoined) break
      }
      yield* replay.seam()
      for await (const event of live) {
        if (!wasReplayed(reader, this.positionOf(event), this.endsHistory(event))) yield event
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

/** CURSOR_EXPIRED: the names of a subscription now belong to another table, or to other columns. */
export function otherMeaning(): ListenqlError {
  return new ListenqlError(
    'CURSOR_EXPIRED',
    'fields of this subscription now belong to another table or to other columns',
    {
      hint: 'read a snapshot, and subscribe after its cursor',
    },
  )
}

/** CURSOR_INVALID: the client sent a cursor, and the database keeps no events. */
export function noHistory(): ListenqlError {
  return new ListenqlError('CURSOR_INVALID', 'a subscription cannot resume: this database has no event log', {
    hint: 'subscribe without a cursor; `listenql watch` or `listenql install` creates the log',
  })
}
