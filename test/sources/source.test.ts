import { describe, expect, it } from 'vitest'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { encodePlain, type Position } from '../../src/log/position.js'
import { EventSource, type Follower, type SourceOptions } from '../../src/sources/source.js'

const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })
const cursorAt = (id: number) => encodePlain(at(id))

/** Creates a source of numbers, each of which is its own position, and lists its followers. */
function createTested(options: Partial<SourceOptions<number>> = {}) {
  const followers = new Set<Follower<number>>()
  const source = new EventSource<number>(
    { kind: 'table', name: 'people' },
    {
      async open(follower) {
        followers.add(follower)
        return () => void followers.delete(follower)
      },
      live: async () => undefined,
      positionOf: at,
      ...options,
    },
  )
  return {
    source,
    followers,
    send(...events: number[]) {
      for (const follower of followers) for (const event of events) follower.event(event)
    },
    end(error: ListenqlError) {
      for (const follower of followers) follower.end(error)
    },
  }
}

async function next(iterator: AsyncIterator<number>): Promise<number | 'done'> {
  const result = await iterator.next()
  return result.done ? 'done' : result.value
}

describe('the iteration of a source', () => {
  it('yields every event from the moment it resolves, even if the reader has not requested it yet', async () => {
    const { source, send, followers } = createTested()
    const iterator = await source.iterate()
    expect(followers.size).toBe(1)
    send(1, 2)
    expect([await next(iterator), await next(iterator)]).toEqual([1, 2])
    const third = next(iterator)
    send(3)
    expect(await third).toBe(3)
  })

  it('closes the source when the reader returns, also while the reader waits for an event', async () => {
    const { source, followers } = createTested()
    const iterator = await source.iterate()
    const waiting = next(iterator)
    await iterator.return?.()
    expect([await waiting, followers.size]).toEqual(['done', 0])
  })

  it('ends with the error of the source, after the events before it', async () => {
    const { source, send, end } = createTested()
    const iterator = await source.iterate()
    send(1)
    end(new ListenqlError('SCHEMA_CHANGED', 'it is gone'))
    expect(await next(iterator)).toBe(1)
    await expect(next(iterator)).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' })
  })

  it('ends with an error when the number of waiting events exceeds the limit, and closes the source', async () => {
    const { source, send, followers } = createTested()
    const iterator = await source.iterate(2)
    send(1, 2, 3)
    expect(followers.size).toBe(0)
    expect([await next(iterator), await next(iterator)]).toEqual([1, 2])
    await expect(next(iterator)).rejects.toMatchObject({ code: 'SUBSCRIBER_TOO_SLOW' })
  })

  it('opens the source anew for each reader of the iterable', async () => {
    const { source, send, followers } = createTested()
    const readers = [source[Symbol.asyncIterator](), source[Symbol.asyncIterator]()]
    const firsts = readers.map(next)
    await expect.poll(() => followers.size).toBe(2)
    send(1)
    expect(await Promise.all(firsts)).toEqual([1, 1])
  })
})

describe('the iteration from a position', () => {
  /** A log that contains the numbers up to `committed`. A read returns two of them, once `gate` lets it pass. */
  function createPast(
    committed: number,
    dispatched: () => number,
    gate: () => Promise<void> = async () => {},
  ) {
    return {
      replay: () => ({
        position: () => at(dispatched()),
        start: () => at(dispatched()),
        seam: () => [-1],
        async read({ id }: Position) {
          await gate()
          const events = [id + 1, id + 2].filter(event => event <= committed)
          return { events, position: at(events.at(-1) ?? id) }
        },
      }),
    }
  }

  it('yields the past, then the seam, then each later event once', async () => {
    const { source, send } = createTested({ after: cursorAt(1), ...createPast(5, () => 4) })
    const iterator = await source.iterate()
    const past = [await next(iterator), await next(iterator), await next(iterator), await next(iterator)]
    expect(past).toEqual([2, 3, 4, 5])
    expect(await next(iterator)).toBe(-1)
    send(5, 6) // The live stream delivers what was read from the log already.
    expect(await next(iterator)).toBe(6)
  })

  it('reads live events that arrive before the join from the log', async () => {
    const gate = createDeferred()
    let dispatched = 1
    const { source, send } = createTested({
      after: cursorAt(1),
      ...createPast(
        3,
        () => dispatched,
        () => gate.promise,
      ),
    })
    const iterator = await source.iterate(1) // The queue has no room for more.
    const first = next(iterator)
    send(2, 3)
    dispatched = 3
    gate.resolve()
    expect([await first, await next(iterator), await next(iterator)]).toEqual([2, 3, -1])
    send(4)
    expect(await next(iterator)).toBe(4)
  })

  it('closes the source when the reader returns in the middle of the past', async () => {
    const { source, followers } = createTested({ after: cursorAt(0), ...createPast(5, () => 5) })
    const iterator = await source.iterate()
    expect(await next(iterator)).toBe(1)
    await iterator.return?.()
    expect([await next(iterator), followers.size]).toEqual(['done', 0])
  })

  it('closes the source when the reader returns while it waits for live events', async () => {
    const { source, followers } = createTested({ after: cursorAt(5), ...createPast(5, () => 5) })
    const iterator = await source.iterate()
    expect(await next(iterator)).toBe(-1)
    const waiting = next(iterator)
    await iterator.return?.()
    expect([await waiting, followers.size]).toEqual(['done', 0])
  })

  it('is refused if the source keeps no history, and closes the source', async () => {
    const { source, followers } = createTested({ after: cursorAt(1) })
    await expect(source.iterate()).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
    expect(followers.size).toBe(0)
  })

  it('is refused before the source is opened if the cursor is malformed', async () => {
    const { source } = createTested({ after: 'none', open: () => expect.unreachable() })
    await expect(source.iterate()).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
  })
})

it('a source without callbacks for positions, sizes and ends of histories reports none of them', () => {
  const { source } = createTested({ positionOf: () => undefined })
  expect([source.positionOf(1), source.endsHistory(1), source.sizeOf(1)]).toEqual([undefined, false, 0])
})
