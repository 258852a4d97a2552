import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createGather } from '../../src/live/gather.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('the first task begins at once; those that come within the gap begin together after it', () => {
  const gather = createGather(15)
  const begun: string[] = []
  const begin = (name: string) => gather.begin(() => begun.push(name))
  begin('a')
  expect(begun).toEqual(['a'])
  vi.advanceTimersByTime(5)
  begin('b')
  vi.advanceTimersByTime(5)
  begin('c')
  expect(begun).toEqual(['a'])
  vi.advanceTimersByTime(5)
  expect(begun).toEqual(['a', 'b', 'c'])
  begin('d')
  expect(begun).toEqual(['a', 'b', 'c'])
  vi.advanceTimersByTime(15)
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
  vi.advanceTimersByTime(15)
  begin('e')
  expect(begun.at(-1)).toBe('e')
})

it('a task that a task begins waits for the next time', () => {
  const gather = createGather(15)
  const begun: number[] = []
  gather.begin(() => {
    begun.push(1)
    gather.begin(() => begun.push(2))
  })
  expect(begun).toEqual([1])
  vi.advanceTimersByTime(15)
  expect(begun).toEqual([1, 2])
})

it('once it is closed, nothing begins that waits', () => {
  const gather = createGather(15)
  const begun: number[] = []
  gather.begin(() => begun.push(1))
  gather.begin(() => begun.push(2))
  gather.close()
  vi.advanceTimersByTime(100)
  expect(begun).toEqual([1])
})
