import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { abortable, createStopController, createTimer, delay } from '../../src/lib/abort.js'

// A rejection without a handler ends the process; in this test it fails the run.
it('a promise that is abandoned before it settles may reject without a handler', async () => {
  const stopping = new Error('the server is stopping')
  const signal = AbortSignal.abort(stopping)
  let fail: (error: Error) => void = () => undefined
  const given = abortable(
    new Promise((_, reject) => {
      fail = reject
    }),
    signal,
  )
  await expect(given).rejects.toBe(stopping)
  await expect(abortable(Promise.reject(new Error('of its own')), signal)).rejects.toBe(stopping)
  fail(new Error('late'))
  await setImmediate()
})

it('any number of waits can end with one stop, without a warning of Node', async () => {
  const warned: string[] = []
  const note = (warning: Error) => warned.push(warning.name)
  process.on('warning', note)
  try {
    const stop = createStopController()
    const waits = Array.from({ length: 50 }, () => delay(60_000, stop.signal))
    stop.abort()
    await Promise.all(waits)
    await setImmediate()
    expect(warned).toEqual([])
  } finally {
    process.off('warning', note)
  }
})

it('a timer ends its wait when it is woken, and a wake-up before the wait does not count', async () => {
  const timer = createTimer()
  timer.wake()
  const order: string[] = []
  const woken = timer.wait(60_000).then(() => order.push('woken'))
  await setImmediate()
  order.push('waited')
  timer.wake()
  await woken
  await timer.wait(0)
  expect(order).toEqual(['waited', 'woken'])
})
