import { expect, it, vi } from 'vitest'
import { createListeners } from '../../../src/client/store/listeners.js'

it('calls a listener that was given twice once for each, and those that left no more', () => {
  const { subscribe, notify } = createListeners()
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
  const { subscribe, notify } = createListeners()
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
