import { expect, it, vi } from 'vitest'
import { createEventQueue } from '../../src/lib/event-queue.js'

it('a queue returns waiting events first, then later ones', async () => {
  const queue = createEventQueue<number>(10)
  queue.push(1)
  queue.push(2)
  expect(await queue.iterator.next()).toEqual({ done: false, value: 1 })
  expect(await queue.iterator.next()).toEqual({ done: false, value: 2 })
  const next = queue.iterator.next()
  queue.push(3)
  expect(await next).toEqual({ done: false, value: 3 })
})

it('a queue ends a waiting next() when the reader returns', async () => {
  const queue = createEventQueue<number>(10)
  const cleanUp = vi.fn()
  queue.onReturn(cleanUp)
  const next = queue.iterator.next()
  await queue.iterator.return?.()
  expect(await next).toEqual({ done: true, value: undefined })
  expect(cleanUp).toHaveBeenCalledOnce()
})

it('a queue ends with an error when too many events wait, after the earlier events', async () => {
  const queue = createEventQueue<number>(2)
  const cleanUp = vi.fn()
  queue.onReturn(cleanUp)
  for (const value of [1, 2, 3, 4]) queue.push(value)
  expect(cleanUp).toHaveBeenCalledOnce()
  const read: number[] = []
  await expect(async () => {
    for await (const value of { [Symbol.asyncIterator]: () => queue.iterator }) read.push(value)
  }).rejects.toThrow('2 events were waiting')
  expect(read).toEqual([1, 2])
})

it('a queue cleans up at once if the reader left before the source was open', async () => {
  const queue = createEventQueue<number>(2)
  await queue.iterator.return?.()
  const cleanUp = vi.fn()
  queue.onReturn(cleanUp)
  expect(cleanUp).toHaveBeenCalledOnce()
})
