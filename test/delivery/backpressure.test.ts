import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import type { Observation } from '../../src/lib/observation.js'

const MAX = 16_000
const HIGH = MAX / 4
const LOW = MAX / 16

beforeEach(() => {
  vi.useFakeTimers()
  vi.advanceTimersByTime(1000) // performance.now() of a process is never 0.
})
afterEach(() => void vi.useRealTimers())

function setUp(maxBuffer = MAX) {
  const changes: boolean[] = []
  const observations: Observation[] = []
  const due = new Set<() => void>()
  const backpressure = createBackpressure({
    limits: { maxBuffer },
    scheduler: {
      due: task => due.add(task),
      spare: task => due.add(task),
      afterwards: task => due.add(task),
      isOver: false,
    },
    observe: observation => observations.push(observation),
  })
  backpressure.pauses({ pause: () => changes.push(true), resume: () => changes.push(false) })
  const endTurn = () => {
    for (const task of due) {
      due.delete(task)
      task()
    }
  }
  return { backpressure, changes, observations, endTurn }
}

/** Creates a reader whose socket is not blocked. */
const reader = () => ({ blockedFor: 0 })

describe('a lagging connection', () => {
  it('pauses reading above a quarter of its buffer, until the buffer is down to a sixteenth', () => {
    const { backpressure, changes, observations } = setUp()
    const slow = reader()
    backpressure.report(slow, HIGH)
    expect(changes).toEqual([])
    backpressure.report(slow, HIGH + 1)
    expect(changes).toEqual([true])
    backpressure.report(slow, LOW + 1)
    expect(changes).toEqual([true])
    vi.advanceTimersByTime(30)
    backpressure.report(slow, LOW)
    expect(changes).toEqual([true, false])
    expect(observations).toEqual([
      { type: 'reading.paused', subscribers: 1 },
      { type: 'reading.resumed', pausedFor: 30 },
    ])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('resumes reading only once every other lagging connection has caught up or left', () => {
    const { backpressure, changes } = setUp()
    const readers = [reader(), reader(), reader()]
    for (const slow of readers) backpressure.report(slow, HIGH + 1)
    backpressure.report(readers[0]!, 0)
    backpressure.release(readers[1]!)
    expect(changes).toEqual([true])
    backpressure.release(readers[2]!)
    expect(changes).toEqual([true, false])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('that never exceeded the threshold changes nothing by its release', () => {
    const { backpressure, changes } = setUp()
    backpressure.release(reader())
    expect(changes).toEqual([])
  })
})

describe('a connection no longer pauses reading', () => {
  it('if it takes nothing', () => {
    const { backpressure, changes } = setUp()
    const dead = { blockedFor: 250 }
    backpressure.report(dead, MAX)
    expect(changes).toEqual([])
    // Another connection can still pause reading.
    const slow = reader()
    backpressure.report(slow, HIGH + 1)
    expect(changes).toEqual([true])
    backpressure.release(slow)
    expect(changes).toEqual([true, false])
  })

  it('once it stops taking while reading is paused', () => {
    const { backpressure, changes } = setUp()
    const slow = reader()
    backpressure.report(slow, HIGH + 1)
    vi.advanceTimersByTime(200)
    expect(changes).toEqual([true])
    slow.blockedFor = 300
    vi.advanceTimersByTime(50)
    expect(changes).toEqual([true, false])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('if it only trickles for two seconds, until it has caught up', () => {
    const { backpressure, changes } = setUp()
    const trickle = reader()
    for (let ms = 0; ms < 1950; ms += 50) {
      backpressure.report(trickle, HIGH + 1)
      vi.advanceTimersByTime(50)
    }
    expect(changes).toEqual([true])
    vi.advanceTimersByTime(50)
    expect(changes).toEqual([true, false])
    backpressure.report(trickle, MAX)
    expect(changes).toEqual([true, false])
    backpressure.report(trickle, LOW)
    backpressure.report(trickle, HIGH + 1)
    expect(changes).toEqual([true, false, true])
  })
})

describe('a turn with many events', () => {
  it('pauses reading until the turn is over', () => {
    const { backpressure, changes, endTurn } = setUp()
    backpressure.took(MAX / 8)
    expect(changes).toEqual([])
    backpressure.took(1)
    backpressure.took(1000)
    expect(changes).toEqual([true])
    endTurn()
    expect(changes).toEqual([true, false])
    backpressure.took(MAX / 8) // A new turn counts from zero.
    endTurn()
    expect(changes).toEqual([true, false])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is limited to 1 MiB, whatever the size of the buffer', () => {
    const { backpressure, changes } = setUp(2 ** 30)
    backpressure.took(2 ** 20)
    expect(changes).toEqual([])
    backpressure.took(1)
    expect(changes).toEqual([true])
  })

  it('does not end the pause that a lagging connection caused', () => {
    const { backpressure, changes, endTurn } = setUp()
    const slow = reader()
    backpressure.took(MAX)
    backpressure.report(slow, HIGH + 1)
    endTurn()
    expect(changes).toEqual([true])
    backpressure.release(slow)
    expect(changes).toEqual([true, false])
  })
})

it('close() leaves no timer, whatever is reported afterwards', () => {
  const { backpressure } = setUp()
  backpressure.report(reader(), HIGH + 1)
  backpressure.close()
  expect(vi.getTimerCount()).toBe(0)
  backpressure.report(reader(), HIGH + 1)
  expect(vi.getTimerCount()).toBe(0)
  const other = setUp().backpressure
  other.close()
  other.report(reader(), HIGH + 1)
  expect(vi.getTimerCount()).toBe(0)
})
