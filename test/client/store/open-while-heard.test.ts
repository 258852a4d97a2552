import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openWhileHeard } from '../../../src/client/store/open-while-heard.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function create() {
  const log: string[] = []
  const listeners = openWhileHeard({
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
