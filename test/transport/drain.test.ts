import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { drainConnections } from '../../src/transport/drain.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Connections by number; `ended` has the number of ended connections at each turn in which there were some. */
function createCounted(size: number) {
  const open = Array.from({ length: size }, (_, n) => n)
  const turns: number[] = []
  const order: number[] = []
  return {
    ...{ open, turns, order },
    get size() {
      return open.length
    },
    endOldest(count: number) {
      const ended = open.splice(0, count)
      order.push(...ended)
      if (ended.length > 0) turns.push(ended.length)
    },
  }
}

async function elapse(ms: number, done: { value: boolean }): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  if (done.value) throw new Error('it ended too early')
}

function start(connections: ReturnType<typeof createCounted>, duration: number) {
  const done = { value: false }
  void drainConnections(connections, duration).then(() => (done.value = true))
  return done
}

describe('a drain', () => {
  it('ends a thousand connections at one rate, the oldest first', async () => {
    const connections = createCounted(1000)
    const done = start(connections, 20_000)
    for (let second = 1; second < 20; second++) {
      await elapse(1000, done)
      expect(Math.abs(connections.order.length - 50 * second)).toBeLessThanOrEqual(2)
    }
    await vi.advanceTimersByTimeAsync(1000)
    expect(done.value).toBe(true)
    expect(connections.order).toEqual(Array.from({ length: 1000 }, (_, n) => n))
    expect(Math.max(...connections.turns)).toBe(2)
  })

  it('ends connections that are opened meanwhile, too, after the others', async () => {
    const connections = createCounted(10)
    const done = start(connections, 1000)
    await elapse(500, done)
    connections.open.push(10, 11, 12)
    await elapse(480, done)
    connections.open.push(13)
    await vi.advanceTimersByTimeAsync(40)
    expect(done.value).toBe(true)
    expect(connections.order).toEqual(Array.from({ length: 14 }, (_, n) => n))
  })

  it('lasts as long without a connection', async () => {
    const connections = createCounted(0)
    const done = start(connections, 1000)
    await elapse(980, done)
    await vi.advanceTimersByTimeAsync(20)
    expect(done.value).toBe(true)
  })

  it('shorter than a turn ends all of them', async () => {
    const connections = createCounted(3)
    const done = start(connections, 1)
    await vi.advanceTimersByTimeAsync(20)
    expect(done.value).toBe(true)
    expect(connections.order).toHaveLength(3)
  })

  it('catches up in one turn where the process was held up', async () => {
    const connections = createCounted(4)
    const done = start(connections, 1000)
    await elapse(500, done)
    vi.setSystemTime(Date.now() + 10_000)
    const { now } = performance
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 10_000)
    await vi.advanceTimersByTimeAsync(20)
    expect(done.value).toBe(true)
    expect(connections.size).toBe(0)
    vi.restoreAllMocks()
  })
})
