import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createListeners } from '../../../src/client/store/store.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function create() {
  const log: string[] = []
  const listeners = createListeners({
    linger: 100,
    open: () => {
      log.push('open')
      return () => log.push('close')
    },
  })
  return { log, ...listeners }
}

it('is open while it has listeners, and for the time of `linger` after the last one has left', () => {
  const { log, subscribe } = create()
  const leave = [subscribe(() => {}), subscribe(() => {})]
  for (const one of leave) one()
  vi.advanceTimersByTime(99)
  const again = subscribe(() => {})
  vi.advanceTimersByTime(1000)
  expect(log).toEqual(['open'])
  again()
  again()
  vi.advanceTimersByTime(100)
  expect(log).toEqual(['open', 'close'])
  subscribe(() => {})
  expect(log).toEqual(['open', 'close', 'open'])
})

it('calls a listener that was given twice once for each, and those that left no more', () => {
  const { subscribe, notify } = create()
  const listener = vi.fn()
  const leave = subscribe(listener)
  subscribe(listener)
  notify()
  expect(listener).toHaveBeenCalledTimes(2)
  leave()
  leave()
  notify()
  expect(listener).toHaveBeenCalledTimes(3)
})

it('an error of one listener does not keep the others from being called, and is reported', async () => {
  const { subscribe, notify } = create()
  const reported: unknown[] = []
  vi.stubGlobal('queueMicrotask', (work: () => void) => {
    try {
      work()
    } catch (error) {
      reported.push(error)
    }
  })
  const listener = vi.fn()
  const fault = new Error('a fault of a listener')
  subscribe(() => {
    throw fault
  })
  subscribe(listener)
  notify()
  vi.unstubAllGlobals()
  expect(listener).toHaveBeenCalledOnce()
  expect(reported).toEqual([fault])
})

it('after close, never opens again', () => {
  const { log, subscribe, close } = create()
  const leave = subscribe(() => {})
  close()
  close()
  leave()
  vi.advanceTimersByTime(1000)
  subscribe(() => {})
  expect(log).toEqual(['open', 'close'])
})
