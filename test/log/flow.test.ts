import { expect, it } from 'vitest'
import { createFlow } from '../../src/log/flow.js'

it('gives other work its turn after a hundred events, however short the pages are', async () => {
  let turns = 0
  const flow = createFlow(async () => {
    turns++
  })
  for (let event = 1; event <= 1000; event++) {
    flow.begin() // a page of one event
    await flow.ready()
  }
  expect(turns).toBeGreaterThanOrEqual(9) // more if the machine was busy
})

it('lets no event pass while it is paused, also if it is paused again at once', async () => {
  const flow = createFlow()
  flow.begin()
  flow.pause()
  let isReady = false
  const ready = flow.ready()?.then(() => {
    isReady = true
  })
  flow.resume()
  flow.pause()
  await new Promise(resolve => setImmediate(resolve))
  expect(isReady).toBe(false)
  flow.resume()
  await ready
  expect(flow.ready()).toBeUndefined()
})
