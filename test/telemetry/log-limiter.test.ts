import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Observation } from '../../src/index.js'
import { createLogObserver } from '../../src/telemetry/log-observations.js'
import type { Logger } from '../../src/telemetry/logger.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function setUp() {
  const lines: { level: string; details: Record<string, unknown>; message: string }[] = []
  const write = (level: string) => (details: unknown, message?: string) =>
    void lines.push(
      message === undefined
        ? { level, details: {}, message: String(details) }
        : { level, details: details as Record<string, unknown>, message },
    )
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  return { lines, observe: createLogObserver(logger as unknown as Logger) }
}

const badToken = (reason: string): Observation => ({
  type: 'viewer.refused',
  transport: 'http',
  remote: '203.0.113.7',
  code: 'UNAUTHENTICATED',
  reason,
})

describe('a log message that clients can cause at will', () => {
  it('is one line for each table whose rows cannot be read, as while the database is away', () => {
    const { lines, observe } = setUp()
    for (let i = 0; i < 100; i++)
      for (const table of ['people', 'orders'])
        observe({ type: 'snapshot.failed', table, message: 'connect ECONNREFUSED' })
    expect(lines.map(({ message }) => message)).toEqual([
      'A snapshot of table people failed: connect ECONNREFUSED.',
      'A snapshot of table orders failed: connect ECONNREFUSED.',
    ])
    vi.advanceTimersByTime(10_000)
    expect(lines).toHaveLength(4)
    expect(lines.at(-1)?.message).toContain('There were 99 more')
  })

  it('is one line at once, and one line with a count every ten seconds', () => {
    const { lines, observe } = setUp()
    for (let i = 0; i < 1000; i++) observe(badToken(`of kind ${i}`))
    expect(lines).toMatchObject([{ message: 'A viewer was refused.', details: { reason: 'of kind 0' } }])
    vi.advanceTimersByTime(10_000)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatchObject({ details: { reason: 'of kind 999' } })
    expect(lines[1]?.message).toBe('A viewer was refused. There were 999 more within 10 s; this is the last.')
    observe(badToken('again'))
    expect(lines).toHaveLength(2)
    vi.advanceTimersByTime(10_000)
    expect(lines[2]).toMatchObject({ details: { reason: 'again' } })
    vi.advanceTimersByTime(20_000)
    expect(lines).toHaveLength(3)
    observe(badToken('much later'))
    expect(lines[3]).toMatchObject({ message: 'A viewer was refused.' })
  })

  it('is counted by its own kind, not by text from the client', () => {
    const { lines, observe } = setUp()
    for (let i = 0; i < 100; i++) {
      observe(badToken(`secret ${i}`))
      observe({
        type: 'request.refused',
        transport: 'http',
        remote: `${i}`,
        status: 403,
        message: `page ${i}`,
      })
    }
    expect(lines).toHaveLength(2)
    expect(vi.getTimerCount()).toBe(2)
    vi.advanceTimersByTime(30_000)
    expect(vi.getTimerCount()).toBe(0)
    expect(lines).toHaveLength(4)
  })

  it('is truncated if it is long', () => {
    const { lines, observe } = setUp()
    observe(badToken('x'.repeat(100_000)))
    expect(String(lines[0]?.details.reason).length).toBeLessThan(300)
  })

  it('does not suppress other lines', () => {
    const { lines, observe } = setUp()
    for (let i = 0; i < 3; i++) observe({ type: 'fault', id: `${i}`, message: 'a fault', error: undefined })
    expect(lines).toHaveLength(3)
  })
})
