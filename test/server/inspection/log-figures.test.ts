import { expect, it, vi } from 'vitest'
import { createLogFigures } from '../../../src/server/inspection/log-figures.js'

const position = () => ({ n: 1, token: 1, ord: 0, statement: 0, id: 0 }) as never

it('a scrape waits two seconds at most, also for a connection to the database', async () => {
  vi.useFakeTimers()
  const row = { n: 1, bytes: 7, pending: 0 }
  let answer: (rows: Record<string, number | null>[]) => void = () => undefined
  const ask = vi.fn(
    () =>
      new Promise<Record<string, number | null>[]>(resolve => {
        answer = resolve
      }),
  )
  const figures = createLogFigures({ ask, position })
  let scrapes = 0
  const scrape = () => figures.refresh().then(() => scrapes++)
  void scrape()
  void scrape()
  await vi.advanceTimersByTimeAsync(1999)
  expect(scrapes).toBe(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(scrapes).toBe(2)
  expect(figures.present).toBeUndefined()

  void scrape()
  expect(ask).toHaveBeenCalledTimes(1)
  answer([row])
  await vi.advanceTimersByTimeAsync(0)
  answer([{ events: 3 }])
  await vi.advanceTimersByTimeAsync(0)
  expect(scrapes).toBe(3)
  expect(figures.present).toMatchObject({ bytes: 7, lagEvents: 3 })

  await vi.advanceTimersByTimeAsync(2001)
  void scrape()
  await vi.advanceTimersByTimeAsync(2000)
  expect(scrapes).toBe(4)
  expect(figures.present, 'old figures').toBeUndefined()
  vi.useRealTimers()
})
