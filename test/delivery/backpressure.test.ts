import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import type { Observation } from '../../src/lib/observation.js'

const MAX = 16_000
const HIGH = MAX / 4
const LOW = MAX / 16

beforeEach(() => {
  vi.useFakeTimers()
  vi.advanceTimersByTime(1000) // a process never runs at 0 ms of performance.now()
})
afterEach(() => void vi.useRealTimers())

function setUp(maxBuffer = MAX) {
  const changes: boolean[] = []
  const observations: Observation[] = []
  const due = new Set<() => void>()
  const backpressure = createBackpressure({
    maxBuffer,
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

/** A reader whose socket moved just now, unless it is told since when it has not. */
const reader = () => ({ blockedFor: 0 })

describe('a connection that lags behind', () => {
  it('pauses reading above a quarter of its buffer, until it is down to a sixteenth', () => {
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

  it('is one of many: reading goes on when the last of them has caught up or is gone', () => {
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

  it('never was behind: its release changes nothing', () => {
    const { backpressure, changes } = setUp()
    backpressure.release(reader())
    expect(changes).toEqual([])
  })
})

describe('a connection that has no say', () => {
  it('is one that takes nothing', () => {
    const { backpressure, changes } = setUp()
    const dead = { blockedFor: 250 }
    backpressure.report(dead, MAX)
    expect(changes).toEqual([])
    // It does not take away the say of another.
    const slow = reader()
    backpressure.report(slow, HIGH + 1)
    expect(changes).toEqual([true])
    backpressure.release(slow)
    expect(changes).toEqual([true, false])
  })

  it('is one that stops taking while reading is paused', () => {
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

  it('is one that only trickles, after two seconds, until it has caught up', () => {
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

describe('a turn that brings much', () => {
  it('pauses reading until it is over', () => {
    const { backpressure, changes, endTurn } = setUp()
    backpressure.took(MAX / 8)
    expect(changes).toEqual([])
    backpressure.took(1)
    backpressure.took(1000)
    expect(changes).toEqual([true])
    endTurn()
    expect(changes).toEqual([true, false])
    backpressure.took(MAX / 8) // a new turn counts anew
    endTurn()
    expect(changes).toEqual([true, false])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is never more than 1 MiB, however large the buffer', () => {
    const { backpressure, changes } = setUp(2 ** 30)
    backpressure.took(2 ** 20)
    expect(changes).toEqual([])
    backpressure.took(1)
    expect(changes).toEqual([true])
  })

  it('does not end the pause that a lagging connection has asked for', () => {
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

it('leaves no timer when it is closed, whatever is reported after that', () => {
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
