import { expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import { encodePlain, type Position, START_OVER } from '../../src/log/position.js'
import { iterateWithInitialState } from '../../src/sources/iterate-with-initial-state.js'
import { EventSource, type Follower } from '../../src/sources/source.js'

const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })
const expired = new ListenqlError('CURSOR_EXPIRED', 'it is gone')

/** A source whose log ends at `live.at`; its state is `100` and its position. */
function createTested(after?: Position) {
  const followers = new Set<Follower<number>>()
  const live = { at: 3, expiredUpTo: 0, failures: [] as ListenqlError[] }
  const source = new EventSource<number>(
    { kind: 'table', name: 'people' },
    {
      after: after && encodePlain(after),
      async open(follower) {
        followers.add(follower)
        return () => void followers.delete(follower)
      },
      live: async () => undefined,
      positionOf: at,
      initialState: {
        async read() {
          const error = live.failures.shift()
          if (error) throw error
          return { events: [100, live.at], position: at(live.at), bytes: 0 }
        },
        reset: () => -1,
        startsOverAfter: error => error === expired || (error as ListenqlError).code === 'CURSOR_INVALID',
      },
      replay: () => ({
        position: () => at(live.at),
        start: () => at(live.at),
        seam: () => [],
        async read({ id }) {
          if (id < live.expiredUpTo) throw expired
          return { events: Array.from({ length: live.at - id }, (_, i) => id + 1 + i), position: at(live.at) }
        },
      }),
    },
  )
  return { source, followers, live }
}

async function take(iterator: AsyncIterator<number>, count: number): Promise<number[]> {
  const all: number[] = []
  while (all.length < count) all.push((await iterator.next()).value)
  return all
}

it('yields the state, then each later event once', async () => {
  const { source, followers, live } = createTested()
  const iterator = await source.iterate()
  expect(await take(iterator, 2)).toEqual([100, 3])
  const next = take(iterator, 2)
  await expect.poll(() => followers.size).toBe(1)
  live.at = 5
  for (const follower of followers) for (const event of [3, 4, 5]) follower.event(event)
  expect(await next).toEqual([4, 5])
  await iterator.return?.()
  expect(followers.size).toBe(0)
})

it('resumes after a position; one that has expired or was before the end of the state begins again', async () => {
  const resumed = createTested(at(1))
  const iterator = await resumed.source.iterate()
  expect(await take(iterator, 2)).toEqual([2, 3])
  await iterator.return?.()
  for (const after of [at(1), START_OVER]) {
    const { source, live, followers } = createTested(after)
    live.expiredUpTo = 2
    const again = await source.iterate()
    expect(await take(again, 3)).toEqual([-1, 100, 3])
    await again.return?.()
    expect(followers.size).toBe(0)
  }
})

it('begins again when the history ends, and ends with any other error', async () => {
  const { source, live, followers } = createTested()
  const iterator = await source.iterate()
  await take(iterator, 2)
  const next = take(iterator, 3)
  await expect.poll(() => followers.size).toBe(1)
  live.at = 7
  live.expiredUpTo = 7
  for (const follower of [...followers]) follower.end(expired)
  expect(await next).toEqual([-1, 100, 7])
  const last = iterator.next()
  await expect.poll(() => followers.size).toBe(1)
  const error = new ListenqlError('SCHEMA_CHANGED', 'no')
  for (const follower of [...followers]) follower.end(error)
  await expect(last).rejects.toBe(error)
})

it('ends when the reader returns while it waits', async () => {
  const { source, followers } = createTested()
  const iterator = await source.iterate()
  await take(iterator, 2)
  const waiting = iterator.next()
  await expect.poll(() => followers.size).toBe(1)
  await iterator.return?.()
  expect([(await waiting).done, followers.size]).toEqual([true, 0])
})

it('reads the state again while the database is away, and ends when it is returned meanwhile', async () => {
  for (const isPatient of [true, false]) {
    const { source, live, followers } = createTested()
    const iterator = await source.iterate()
    await take(iterator, 2)
    const next = iterator.next()
    await expect.poll(() => followers.size).toBe(1)
    const failure = new ListenqlError('DATABASE_FAILED', 'no')
    live.failures = Array.from({ length: isPatient ? 2 : 200 }, () => failure)
    live.expiredUpTo = 4
    live.at = 4
    for (const follower of followers) follower.end(expired)
    if (isPatient) expect([(await next).value, ...(await take(iterator, 2))]).toEqual([-1, 100, 4])
    else await expect.poll(() => live.failures.length).toBeLessThan(200)
    await iterator.return?.()
    if (!isPatient) expect(await next).toEqual({ value: undefined, done: true })
    expect(followers.size).toBe(0)
  }
})

it('ends at once when it is returned while its source opens', async () => {
  let isOpening = false
  const iterator = await iterateWithInitialState<number>(
    {
      iterateAfter(_position, _limit, signal) {
        isOpening = true
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      },
    },
    {
      read: async () => ({ events: [], position: at(1), bytes: 0 }),
      reset: () => -1,
      startsOverAfter: () => false,
    },
    { after: undefined, limit: 10, signal: undefined },
  )
  const next = iterator.next()
  await expect.poll(() => isOpening).toBe(true)
  await iterator.return?.()
  expect(await next).toEqual({ value: undefined, done: true })
})
