import { expect, it } from 'vitest'
import { createClockOffset } from '../../src/postgres/clock-offset.js'

const here = () => performance.timeOrigin + performance.now()

it('knows the clock of the database once it has answered, and keeps it if a later measurement fails', async () => {
  let ask = async () => here() + 5000
  const clock = createClockOffset(() => ask())
  expect(clock.now()).toBeUndefined()
  await clock.measure()
  expect(Math.abs((clock.now() ?? 0) - here() - 5000)).toBeLessThan(1000)
  ask = () => Promise.reject(new Error('away'))
  await clock.measure()
  expect(Math.abs((clock.now() ?? 0) - here() - 5000)).toBeLessThan(1000)
})

it('of several measurements, the one with the shortest round trip counts', async () => {
  const answers = [9_000_000, 5000, 9_000_000]
  const clock = createClockOffset(async () => {
    const ahead = answers.shift() ?? 0
    const time = here() + ahead
    // A slow answer: the event loop is held up, so no clock has to be waited for.
    if (ahead > 5000) for (const end = performance.now() + 50; performance.now() < end; );
    return time
  })
  await clock.measure()
  expect(Math.abs((clock.now() ?? 0) - here() - 5000)).toBeLessThan(1000)
})
