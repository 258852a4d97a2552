import { expect, it } from 'vitest'
import { createFlow } from '../../src/log/flow.js'

it('the flow yields to other work after a hundred events, however short the pages are', async () => {
  let turns = 0
  const flow = createFlow(async () => {
    turns++
  })
  for (let event = 1; event <= 1000; event++) {
    flow.begin() // a page with one event
    await flow.ready()
  }
  expect(turns).toBeGreaterThanOrEqual(9) // more if the machine was busy
})

it('the flow lets no event pass while it is paused, even if it is paused again immediately', async () => {
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
