import { describe, expect, it } from 'vitest'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { encodePlain, type Position } from '../../src/log/position.js'
import { EventSource, type Follower, type SourceOptions } from '../../src/sources/source.js'

const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })
const cursorAt = (id: number) => encodePlain(at(id))

/** A source of numbers whose positions they are, and its followers. */
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
  it('has every event from the moment at which it resolves, asked for or not', async () => {
    const { source, send, followers } = createTested()
    const iterator = await source.iterate()
    expect(followers.size).toBe(1)
    send(1, 2)
    expect([await next(iterator), await next(iterator)]).toEqual([1, 2])
    const third = next(iterator)
    send(3)
    expect(await third).toBe(3)
  })

  it('closes the source when the reader returns, also while it waits for an event', async () => {
    const { source, followers } = createTested()
    const iterator = await source.iterate()
    const waiting = next(iterator)
    await iterator.return?.()
    expect([await waiting, followers.size]).toEqual(['done', 0])
  })

  it('ends with the error of the source, after what came before', async () => {
    const { source, send, end } = createTested()
    const iterator = await source.iterate()
    send(1)
    end(new ListenqlError('SCHEMA_CHANGED', 'it is gone'))
    expect(await next(iterator)).toBe(1)
    await expect(next(iterator)).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' })
  })

  it('ends with an error when more waits than the limit, and closes the source', async () => {
    const { source, send, followers } = createTested()
    const iterator = await source.iterate(2)
    send(1, 2, 3)
    expect(followers.size).toBe(0)
    expect([await next(iterator), await next(iterator)]).toEqual([1, 2])
    await expect(next(iterator)).rejects.toMatchObject({ code: 'SUBSCRIBER_TOO_SLOW' })
  })

  it('opens anew for each reader of the iterable', async () => {
    const { source, send, followers } = createTested()
    const readers = [source[Symbol.asyncIterator](), source[Symbol.asyncIterator]()]
    const firsts = readers.map(next)
    await expect.poll(() => followers.size).toBe(2)
    send(1)
    expect(await Promise.all(firsts)).toEqual([1, 1])
  })
})

describe('the iteration from a position', () => {
  /** A log that holds the numbers up to `committed`, read two at a time once `gate` lets a read pass. */
  function createPast(committed: number, handedOn: () => number, gate: () => Promise<void> = async () => {}) {
    return {
      replay: () => ({
        position: () => at(handedOn()),
        start: () => at(handedOn()),
        seam: () => [-1],
        async read({ id }: Position) {
          await gate()
          const events = [id + 1, id + 2].filter(event => event <= committed)
          return { events, position: at(events.at(-1) ?? id) }
        },
      }),
    }
  }

  it('has the past, the seam, and each event after that once', async () => {
    const { source, send } = createTested({ after: cursorAt(1), ...createPast(5, () => 4) })
    const iterator = await source.iterate()
    const past = [await next(iterator), await next(iterator), await next(iterator), await next(iterator)]
    expect(past).toEqual([2, 3, 4, 5])
    expect(await next(iterator)).toBe(-1)
    send(5, 6) // the live stream comes to what the log had already
    expect(await next(iterator)).toBe(6)
  })

  it('reads from the log what is handed on before it has joined', async () => {
    const gate = createDeferred()
    let handedOn = 1
    const { source, send } = createTested({
      after: cursorAt(1),
      ...createPast(
        3,
        () => handedOn,
        () => gate.promise,
      ),
    })
    const iterator = await source.iterate(1) // more would not fit
    const first = next(iterator)
    send(2, 3)
    handedOn = 3
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

  it('closes the source when the reader returns while it waits for what comes live', async () => {
    const { source, followers } = createTested({ after: cursorAt(5), ...createPast(5, () => 5) })
    const iterator = await source.iterate()
    expect(await next(iterator)).toBe(-1)
    const waiting = next(iterator)
    await iterator.return?.()
    expect([await waiting, followers.size]).toEqual(['done', 0])
  })

  it('is refused where nothing is kept, and closes the source', async () => {
    const { source, followers } = createTested({ after: cursorAt(1) })
    await expect(source.iterate()).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
    expect(followers.size).toBe(0)
  })

  it('is refused before the source is opened if the cursor is none', async () => {
    const { source } = createTested({ after: 'none', open: () => expect.unreachable() })
    await expect(source.iterate()).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
  })
})

it('says nothing of positions, sizes and ends of histories unless it is told how', () => {
  const { source } = createTested({ positionOf: () => undefined })
  expect([source.positionOf(1), source.endsHistory(1), source.sizeOf(1)]).toEqual([undefined, false, 0])
})
