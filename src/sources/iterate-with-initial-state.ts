import { delay } from '../lib/abort.js'
import { isStartOver, type Position } from '../log/position.js'
import { type InitialState, type InitialStateReader, MIN_RESET_INTERVAL_MS } from './initial-state.js'
import { tryAgain } from './try-again.js'

/** A source that can be read after a position, see `EventSource.iterateAfter`. */
export interface Resumable<Event> {
  iterateAfter(position: Position, limit: number, signal?: AbortSignal): Promise<AsyncIterableIterator<Event>>
}

interface Start<Event> {
  rows: readonly Event[] | undefined
  readonly position: Position
  /** Whether a reset comes before the rows. */
  readonly isReset: boolean
}

function startOf<Event>({ events, position }: InitialState<Event>, isReset: boolean): Start<Event> {
  return { rows: events, position, isReset }
}

/**
 * The iteration of a source that begins with the present state: its events, then each change after its position exactly once. Where
 * changes would be missing, the iteration begins again, with a reset before.
 * @param options.after the position of the reader. Undefined: it has none
 * @param options.limit see `EventSource.iterate`
 * @returns once the present state has been read; with a position, at once
 */
export async function iterateWithInitialState<Event>(
  source: Resumable<Event>,
  reader: InitialStateReader<Event>,
  options: {
    readonly after: Position | undefined
    readonly limit: number
    readonly signal: AbortSignal | undefined
  },
): Promise<AsyncIterableIterator<Event>> {
  const { after, limit, signal } = options
  const left = new AbortController()
  const over = signal ? AbortSignal.any([signal, left.signal]) : left.signal
  let resetAt = Number.NEGATIVE_INFINITY
  let changes: AsyncIterableIterator<Event> | undefined

  async function follow(position: Position): Promise<AsyncIterableIterator<Event>> {
    const followed = await source.iterateAfter(position, limit, over)
    changes = followed
    if (left.signal.aborted) await followed.return?.()
    return followed
  }

  async function* run(start: Start<Event>): AsyncGenerator<Event, undefined> {
    for (;;) {
      try {
        if (start.rows) {
          if (start.isReset) yield reader.reset()
          yield* start.rows
          start.rows = undefined // so that they are not kept while the reader follows
        }
        yield* await follow(start.position)
        return undefined
      } catch (error) {
        await changes?.return?.()
        if (left.signal.aborted) return undefined
        if (!reader.startsOverAfter(error)) throw error
      }
      try {
        start = startOf(await readAgain(), true)
      } catch (error) {
        if (left.signal.aborted) return undefined
        throw error
      }
    }
  }

  async function readAgain(): Promise<InitialState<Event>> {
    await delay(Math.max(0, resetAt + MIN_RESET_INTERVAL_MS - performance.now()), over)
    over.throwIfAborted()
    const state = await tryAgain(() => reader.read(over), over)
    resetAt = performance.now()
    return state
  }

  const events = run(
    after && !isStartOver(after)
      ? { rows: undefined, position: after, isReset: false }
      : startOf(await reader.read(signal), after !== undefined),
  )
  const iterator: AsyncIterableIterator<Event> = {
    next: () => events.next(),
    // `return` of a generator takes effect only after its pending `await`, so the changes that it waits for are ended first.
    async return() {
      left.abort()
      await changes?.return?.()
      return events.return(undefined)
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}
