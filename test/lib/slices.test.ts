import { expect, it } from 'vitest'
import { createSlices } from '../../src/lib/slices.js'

it('runs each task once, in order, in slices between which the event loop turns', async () => {
  const run = createSlices()
  const ran: string[] = []
  const busy = (name: string) => () => {
    ran.push(name)
    for (const end = performance.now() + 10; performance.now() < end; );
  }
  const a = busy('a')
  run(a)
  run(a)
  run(busy('b'))
  run(() => ran.push('c'))
  expect(ran).toEqual([])
  setImmediate(() => ran.push('turn'))
  await expect.poll(() => ran.length).toBe(4)
  expect(ran).toEqual(['a', 'turn', 'b', 'c'])
})
