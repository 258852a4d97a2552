import { delay } from '../lib/abort.js'
import { isStartOver, type Position } from '../log/position.js'
import { type InitialState, type InitialStateReader, MIN_RESET_INTERVAL_MS } from './initial-state.js'
import { readStateAgain } from './read-state-again.js'

/** A source that can be read after a position, see `EventSource.iterateAfter`. */
export interface Resumable<Event> {
  iterateAfter(position: Position, limit: number, signal?: AbortSignal): Promise<AsyncIterableIterator<Event>>
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
    const followed = await source.iterateAfter(position, limit, signal)
    changes = followed
    if (left.signal.aborted) await followed.return?.()
    return followed
  }

  async function* run(
    from: InitialState<Event> | Position,
    isReset: boolean,
  ): AsyncGenerator<Event, undefined> {
    for (let at = from, again = isReset; ; again = true) {
      try {
        if ('events' in at) {
          if (again) yield reader.reset()
          yield* at.events
        }
        yield* await follow('events' in at ? at.position : at)
        return undefined
      } catch (error) {
        await changes?.return?.()
        if (left.signal.aborted) return undefined
        if (!reader.startsOverAfter(error)) throw error
      }
      try {
        at = await readAgain()
      } catch (error) {
        if (left.signal.aborted) return undefined
        throw error
      }
    }
  }

  async function readAgain(): Promise<InitialState<Event>> {
    await delay(Math.max(0, resetAt + MIN_RESET_INTERVAL_MS - performance.now()), over)
    over.throwIfAborted()
    const state = await readStateAgain(() => reader.read(over), over)
    resetAt = performance.now()
    return state
  }

  const isNew = !after || isStartOver(after)
  const events = run(isNew ? await reader.read(signal) : after, after !== undefined)
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
