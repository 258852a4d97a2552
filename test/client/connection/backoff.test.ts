import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBackoff } from '../../../src/client/connection/backoff.js'

describe('pauses', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  /** Measures the duration of a pause in ms. */
  async function pause(retries: number, random: number): Promise<number> {
    vi.spyOn(Math, 'random').mockReturnValue(random)
    const before = Date.now()
    const waited = createBackoff().wait(retries)
    vi.runAllTimers()
    await waited
    return Date.now() - before
  }

  it('are spread over one second, then two, and so on up to ten', async () => {
    expect(await pause(0, 0)).toBe(100)
    expect(await pause(0, 0.5)).toBe(600)
    expect(await pause(1, 0.5)).toBe(1100)
    expect(await pause(3, 0.5)).toBe(4100)
    expect(await pause(4, 0.5)).toBe(5100)
    expect(await pause(5000, 0.5)).toBe(5100)
  })

  it('may be those of the application, which can be cancelled, too', async () => {
    const asked: number[] = []
    const backoff = createBackoff(retries => {
      asked.push(retries)
      return retries === 0 ? Promise.resolve() : new Promise(() => {})
    })
    await backoff.wait(0)
    const waited = backoff.wait(1)
    backoff.cancel()
    await waited
    expect(asked).toEqual([0, 1])
    await expect(createBackoff(() => Promise.reject(new Error('mine'))).wait(0)).rejects.toThrow('mine')
  })

  it('are skipped once', async () => {
    const backoff = createBackoff()
    backoff.skipNext()
    await backoff.wait(5)
    expect(vi.getTimerCount()).toBe(0)
    void backoff.wait(5)
    expect(vi.getTimerCount()).toBe(1)
  })

  it('end when they are cancelled', async () => {
    const backoff = createBackoff()
    backoff.cancel() // There is nothing to end.
    const waited = backoff.wait(0)
    backoff.cancel()
    await waited
    expect(vi.getTimerCount()).toBe(0)
  })
})
