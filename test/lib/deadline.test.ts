import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { atTime } from '../../src/lib/deadline.js'

const DAY = 86_400_000
beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('atTime() calls back in time, however far away the time is', () => {
  for (const days of [0.5, 24, 25, 60]) {
    const called = vi.fn()
    atTime(Date.now() + days * DAY, called)
    vi.advanceTimersByTime(days * DAY - 1)
    expect(called).not.toHaveBeenCalled()
    vi.advanceTimersByTime(2)
    expect(called).toHaveBeenCalledTimes(1)
  }
})

it('atTime() calls back soon, but not synchronously, if the time has passed already', () => {
  const called = vi.fn()
  atTime(Date.now() - DAY, called)
  expect(called).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(called).toHaveBeenCalledTimes(1)
})

it('atTime() follows a clock that is set', () => {
  const called = vi.fn()
  atTime(Date.now() + DAY, called)
  vi.setSystemTime(Date.now() + 2 * DAY)
  vi.advanceTimersByTime(60_001)
  expect(called).toHaveBeenCalledTimes(1)
})

it('atTime() can be cancelled', () => {
  const called = vi.fn()
  atTime(Date.now() + 1000, called)()
  vi.advanceTimersByTime(DAY)
  expect(called).not.toHaveBeenCalled()
  expect(vi.getTimerCount()).toBe(0)
})
