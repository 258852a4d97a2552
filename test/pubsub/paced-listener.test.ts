import { setImmediate as nextTurn } from 'node:timers/promises'
import { Repeater } from '@graphql-yoga/subscription'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPacedListener } from '../../src/pubsub/paced-listener.js'

const event = (detail: unknown) => new CustomEvent('x', { detail })
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** A listener that takes `room` events and refuses further ones, as a Repeater does. */
function paced(options: { room?: number; maxWaiting?: number; fail?: (detail: unknown) => void } = {}) {
  const taken: unknown[] = []
  const reported: unknown[] = []
  const reader = { room: options.room ?? 0, asked: 0 }
  const listener = createPacedListener({
    deliver({ detail }) {
      reader.asked++
      if (reader.room === 0) throw Object.assign(new Error('full'), { name: 'RepeaterOverflowError' })
      options.fail?.(detail)
      reader.room--
      taken.push(detail)
    },
    maxWaiting: options.maxWaiting ?? 1000,
    onError: error => reported.push(['error', (error as Error).message]),
    onStrain: strained => reported.push(strained ? 'strained' : 'eased'),
    onOverflow: () => reported.push('overflow'),
    lastWord: () => event('last word'),
  })
  const push = (from: number, to: number) => {
    for (let i = from; i <= to; i++) listener.push(event(i))
  }
  return { listener, reader, taken, reported, push }
}

describe('with fake timers, a paced listener', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const ended = () => expect(vi.getTimerCount()).toBe(0)

  it('delivers nothing in the turn of the push, then slices with turns between them', async () => {
    const { taken, push } = paced({ room: Infinity })
    push(1, 600)
    expect(taken).toEqual([])
    const sizes: number[] = []
    while (taken.length < 600) {
      await vi.advanceTimersToNextTimerAsync()
      sizes.push(taken.length)
    }
    expect(sizes).toEqual([256, 512, 600])
    expect(taken).toEqual(numbers(600))
    ended()
  })

  it('delivers a refused event again, after pauses that grow to 50 ms and start again once it was taken', async () => {
    const { reader, taken, push } = paced()
    push(1, 3)
    await vi.advanceTimersByTimeAsync(0)
    expect(reader.asked).toBe(1)
    await vi.advanceTimersByTimeAsync(1 + 2 + 4 + 8 + 16 + 32 + 50 + 50)
    expect(reader.asked).toBe(9)
    reader.room = 1
    await vi.advanceTimersByTimeAsync(50)
    expect(taken).toEqual([1])
    expect(reader.asked).toBe(11) // 1 taken, 2 refused.
    reader.room = 10
    await vi.advanceTimersByTimeAsync(1)
    expect(taken).toEqual([1, 2, 3])
    ended()
  })

  it('continues after a listener that throws', async () => {
    const { taken, reported, push } = paced({
      room: 10,
      fail: detail => {
        if (detail === 2) throw new Error('two')
      },
    })
    push(1, 3)
    await vi.advanceTimersByTimeAsync(0)
    expect(taken).toEqual([1, 3])
    expect(reported).toEqual([['error', 'two']])
  })

  it('reports strain above a quarter of its maximum, and ease at a sixteenth', async () => {
    const { taken, reported, push, reader } = paced({ room: 936 - 62 })
    push(1, 250)
    expect(reported).toEqual([])
    push(251, 936)
    expect(reported).toEqual(['strained'])
    while (taken.length < 874) await vi.advanceTimersToNextTimerAsync()
    await vi.advanceTimersByTimeAsync(1)
    expect(reported).toEqual(['strained', 'eased']) // 62 wait.
    reader.room = Infinity
    await vi.advanceTimersByTimeAsync(50)
    expect(taken).toEqual(numbers(936))
    ended()
  })

  it('never cuts off a listener that takes everything, however much one turn brings', async () => {
    const { taken, reported, push } = paced({ room: Infinity })
    push(1, 5000)
    while (taken.length < 5000) await vi.advanceTimersToNextTimerAsync()
    expect(taken).toEqual(numbers(5000))
    expect(reported).toEqual(['strained', 'eased'])
    ended()
  })

  it('gives up on a listener that refuses ten times in a row, and cuts it off when too much waits', async () => {
    const { reader, taken, reported, push } = paced({ room: 5 })
    push(1, 500)
    expect(reported).toEqual(['strained'])
    await vi.advanceTimersByTimeAsync(1000)
    expect(reported).toEqual(['strained', 'eased'])
    push(501, 1005)
    expect(reported).toEqual(['strained', 'eased'])
    push(1006, 1010)
    expect(reported).toEqual(['strained', 'eased', 'overflow'])
    // Only the last event waits, and is offered less and less often.
    reader.asked = 0
    await vi.advanceTimersByTimeAsync(60_000)
    expect(reader.asked).toBeLessThan(70)
    reader.room = 10
    await vi.advanceTimersByTimeAsync(1000)
    expect(taken).toEqual([1, 2, 3, 4, 5, 'last word'])
    ended()
  })

  it('gives up on a trickle after two seconds of pauses, but delivers all of it', async () => {
    const { reader, taken, reported, push } = paced()
    push(1, 900)
    for (let ms = 0; reported.length < 2; ms++) {
      if (ms % 100 === 0) reader.room = 1
      await vi.advanceTimersByTimeAsync(1)
      expect(ms).toBeLessThan(10_000)
    }
    expect(reported).toEqual(['strained', 'eased'])
    expect(taken.length).toBeGreaterThan(10)
    reader.room = Infinity
    await vi.advanceTimersByTimeAsync(100)
    expect(taken).toEqual(numbers(900))
    // It has caught up, so it can report strain again.
    push(901, 1200)
    expect(reported).toEqual(['strained', 'eased', 'strained'])
  })

  it('leaves no timer when it is closed, reports ease, and accepts nothing afterwards', async () => {
    for (const room of [0, Infinity]) {
      const { listener, taken, reported, push } = paced({ room })
      push(1, 600)
      await vi.advanceTimersToNextTimerAsync()
      const before = taken.length
      listener.close()
      listener.close()
      push(601, 602)
      ended()
      expect(taken).toHaveLength(before)
      expect(reported).toEqual(['strained', 'eased'])
    }
  })

  it('can be closed by the listener itself', async () => {
    const { listener, taken, push } = paced({ room: 10, fail: detail => detail === 2 && listener.close() })
    push(1, 3)
    await vi.advanceTimersByTimeAsync(0)
    expect(taken).toEqual([1, 2])
    ended()
  })
})

describe('with a Repeater, a paced listener', () => {
  it('delivers everything to a slow reader, and the final error ends the iteration after the held events', async () => {
    let listener: ReturnType<typeof createPacedListener> | undefined
    const failure = new Error('too slow')
    const overflow = vi.fn()
    const repeater = new Repeater<unknown>((push, stop) => {
      listener = createPacedListener({
        deliver: ({ detail }) => void push(detail),
        maxWaiting: 3000,
        onError: error => expect.unreachable(String(error)),
        onStrain: () => undefined,
        onOverflow: overflow,
        lastWord: () => {
          const detail = Promise.reject(failure)
          detail.catch(() => undefined)
          return event(detail)
        },
      })
      void stop.then(() => listener?.close())
    })
    const first = repeater.next()
    for (let i = 1; i <= 3000; i++) listener?.push(event(i))
    const read = [(await first).value]
    while (read.length < 3000) {
      if (read.length % 700 === 0) await nextTurn()
      read.push((await repeater.next()).value)
    }
    expect(read).toEqual(numbers(3000))

    for (let i = 1; !overflow.mock.calls.length; i++) {
      listener?.push(event(i))
      if (i % 100 === 0) await new Promise(resolve => setTimeout(resolve, 1))
    }
    const held: unknown[] = []
    await expect(async () => {
      for await (const value of repeater) held.push(value)
    }).rejects.toBe(failure)
    expect(held).toEqual(numbers(1024))
  })
})
