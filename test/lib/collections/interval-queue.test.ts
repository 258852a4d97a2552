import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { IntervalQueue, Recurring } from '../../../src/lib/collections/interval-queue.js'

const INTERVAL = 100

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

class Recorded extends Recurring {
  readonly times: number[] = []
  readonly #then: (() => void) | undefined

  constructor(then?: () => void) {
    super()
    this.#then = then
  }

  recur(): void {
    this.times.push(Math.round(performance.now()))
    this.#then?.()
  }
}

it('each thing recurs as with a timer of its own, from when it was added until it is removed', () => {
  const step = fc.tuple(fc.constantFrom('add', 'remove', 'wait'), fc.nat(3), fc.nat(3 * INTERVAL))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), steps => {
      const queue = new IntervalQueue(INTERVAL)
      const things = Array.from({ length: 4 }, () => new Recorded())
      const expected: number[][] = [[], [], [], []]
      const timers: (NodeJS.Timeout | undefined)[] = []
      for (const [what, i, ms] of steps) {
        if (what === 'wait') vi.advanceTimersByTime(ms)
        else {
          clearInterval(timers[i])
          const thing = things[i] as Recorded
          if (what === 'remove') queue.remove(thing)
          else {
            queue.add(thing)
            timers[i] = setInterval(() => expected[i]?.push(Math.round(performance.now())), INTERVAL)
          }
        }
      }
      for (const thing of things) queue.remove(thing)
      for (const timer of timers) clearInterval(timer)
      expect(vi.getTimerCount()).toBe(0)
      expect(things.map(({ times }) => times)).toEqual(expected)
    }),
  )
})

describe('a queue has one timer', () => {
  it('for any number of things, and none without things', () => {
    const queue = new IntervalQueue(INTERVAL)
    const things = Array.from({ length: 100 }, () => new Recorded())
    for (const thing of things) {
      queue.add(thing)
      vi.advanceTimersByTime(7)
      expect(vi.getTimerCount()).toBe(1)
    }
    for (const thing of things) queue.remove(thing)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('if a thing removes itself, and another one, and adds a third', () => {
    const queue = new IntervalQueue(INTERVAL)
    const third = new Recorded()
    const second = new Recorded()
    const first: Recorded = new Recorded(() => {
      queue.remove(first)
      queue.remove(second)
      queue.add(third)
    })
    queue.add(first)
    queue.add(second)
    vi.advanceTimersByTime(INTERVAL)
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(2 * INTERVAL)
    expect([first, second, third].map(({ times }) => times.length)).toEqual([1, 0, 2])
  })

  it('also after a thing has failed', () => {
    const queue = new IntervalQueue(INTERVAL)
    const fails = new Recorded(() => {
      throw new Error('it fails')
    })
    const works = new Recorded()
    queue.add(fails)
    queue.add(works)
    expect(() => vi.advanceTimersByTime(INTERVAL)).toThrow('it fails')
    vi.advanceTimersByTime(INTERVAL / 2)
    expect(works.times).toHaveLength(1)
  })
})

it('lets other work run after 8 ms, however many things are due', async () => {
  vi.useRealTimers()
  const queue = new IntervalQueue(1)
  const done: string[] = []
  const things = Array.from(
    { length: 6 },
    (_, i) =>
      new Recorded(() => {
        if (i === 0) setImmediate(() => done.push('other work'))
        for (const end = performance.now() + 5; performance.now() < end; );
        done.push(String(i))
      }),
  )
  for (const thing of things) queue.add(thing)
  for (const begun = performance.now(); performance.now() < begun + 5; ); // all are due
  while (done.length < 7) await new Promise(resolve => setImmediate(resolve))
  for (const thing of things) queue.remove(thing)
  expect(done.slice(0, 3)).toEqual(['0', '1', 'other work'])
})
