import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBell, createPollDoorbell, type Doorbell } from '../../../src/log/pace/doorbell.js'
import { createPace } from '../../../src/log/pace/pace.js'

// test/sql/ledger.test.ts and log-follower.test.ts prove, with real transactions that race, that no commit is
// missed.

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const POLL = 5
const QUIET = 100
const SETTLE = 20
const SAFETY = 1000

/** A bell whose SQL is answered by the test. */
function createTested(answers: { armed?: boolean; passed?: boolean } = {}) {
  const given = { armed: true, passed: true, ...answers }
  const asked: string[] = []
  const bell = createBell({ poll: POLL, quiet: QUIET, settle: SETTLE, safety: SAFETY })
  bell.reset()
  bell.onListening(true)
  const query: Parameters<Doorbell['next']>[1] = async (sql, values) => {
    const [, name = ''] = /(arm|renew|clear|xact_id|xmin)/.exec(sql) ?? []
    asked.push([name, ...(name === 'clear' ? (values ?? []) : [])].join(' '))
    return name === 'arm' ? [{ armed: given.armed }] : [{ fence: '7', passed: given.passed }]
  }
  /** Runs `next` and returns after how many ms it resolved; `longer` if it had not resolved by then. */
  async function next(found = 0, most = 10_000): Promise<number | 'longer'> {
    const began = performance.now()
    let took: number | undefined
    const done = bell.next(found, query).then(() => {
      took = performance.now() - began
    })
    for (let waited = 0; waited <= most && took === undefined; waited++) await vi.advanceTimersByTimeAsync(1)
    if (took === undefined) {
      bell.wake()
      await done
      return 'longer'
    }
    return Math.round(took)
  }
  /** Lets the quiet time pass, then takes the steps up to sleep. */
  async function fallAsleep(): Promise<void> {
    while (!asked.includes('arm')) await next()
    await next()
  }
  return { bell, asked, given, next, fallAsleep }
}

describe('the bell', () => {
  it('polls until the quiet time has passed, then arms, draws a fence, and waits until the snapshot has passed it', async () => {
    const { asked, given, next } = createTested({ passed: false })
    for (let quiet = 0; quiet < QUIET; quiet += POLL) expect(await next()).toBe(POLL)
    expect(asked).toEqual([])
    expect(await next()).toBe(0) // reads again immediately
    expect(asked).toEqual(['arm', 'xact_id'])
    expect(await next()).toBe(SETTLE)
    given.passed = true
    expect(await next()).toBe(0) // the next read contains what was committed before the fence passed
    expect(asked.slice(2)).toEqual(['xmin', 'xmin'])
    expect(await next()).toBe(SAFETY) // asleep
    expect(asked.length).toBe(4)
  })

  it('stays awake while events arrive, and reads again immediately after a long page', async () => {
    const { asked, next } = createTested()
    const waits: unknown[] = []
    for (let i = 0; i < 100; i++) waits.push(await next(1))
    expect([waits[0], waits.at(-1)]).toEqual([POLL, 2 * POLL - 1]) // timers drop fractions
    expect(await next(1000)).toBe(0)
    expect(asked).toEqual([])
  })

  it('wakes when it rings, and clears the ring', async () => {
    const { bell, asked, next, fallAsleep } = createTested()
    await fallAsleep()
    const asleep = next()
    bell.ring('41')
    expect(await asleep).toBeLessThan(2)
    bell.ring('40')
    await next(1)
    expect(asked.at(-1)).toBe('clear 41')
    expect(await next()).toBe(POLL)
  })

  it('does not sleep if it was woken while the log was read', async () => {
    const { bell, next, fallAsleep } = createTested()
    await fallAsleep()
    bell.wake()
    expect(await next()).toBe(0)
    expect(await next()).toBe(SAFETY)
  })

  it('is not woken by a notification that is no ring', async () => {
    const { bell, next, fallAsleep } = createTested()
    await fallAsleep()
    const asleep = next()
    for (const payload of ['', 'x', '-1', '1.5', '1'.repeat(16)]) bell.ring(payload)
    expect(await asleep).toBe(SAFETY)
  })

  it('reads again instead of sleeping if it rings while it settles', async () => {
    const { bell, asked, next } = createTested({ passed: false })
    while (!asked.includes('arm')) await next()
    bell.ring('1')
    expect(await next()).toBe(0)
    expect(asked.at(-1)).toBe('clear 1')
  })

  it('starts over if events arrive while it settles', async () => {
    const { asked, next } = createTested({ passed: false })
    while (!asked.includes('arm')) await next()
    await next(1)
    expect(asked).toEqual(['arm', 'xact_id'])
    expect(await next()).toBe(POLL)
  })

  it('does not rely on rings while the channel is not listened to', async () => {
    const { bell, asked, next, fallAsleep } = createTested()
    bell.onListening(false)
    for (let i = 0; i < 100; i++) expect(await next()).toBe(POLL)
    expect(asked).toEqual([])
    bell.onListening(true)
    await fallAsleep()
    const asleep = next()
    bell.onListening(false)
    expect(await asleep).toBeLessThan(2)
    expect(await next()).toBe(POLL)
  })

  it('polls for a minute if the database refuses to be armed, and retries after that or after a reset', async () => {
    const { bell, asked, next } = createTested({ armed: false })
    while (!asked.includes('arm')) await next()
    expect(await next()).toBe(POLL)
    vi.advanceTimersByTime(30_000)
    await next()
    expect(asked).toEqual(['arm'])
    vi.advanceTimersByTime(31_000)
    await next() // the quiet time begins
    vi.advanceTimersByTime(QUIET)
    await next()
    expect(asked).toEqual(['arm', 'arm'])
    bell.reset()
    vi.advanceTimersByTime(QUIET)
    await next()
    expect(asked).toEqual(['arm', 'arm', 'arm'])
  })

  it('renews its lease while it sleeps, and stays awake if the lease may have expired', async () => {
    const { asked, next, fallAsleep } = createTested()
    await fallAsleep()
    vi.advanceTimersByTime(2500) // the lease is 10 s
    expect(await next()).toBe(SAFETY)
    expect(asked.at(-1)).toBe('renew')
    vi.advanceTimersByTime(7000)
    expect(await next()).toBe(SAFETY) // counted from the renewal
    vi.advanceTimersByTime(9500)
    expect(await next()).toBe(0)
    expect(await next()).toBe(POLL)
    expect(asked.filter(name => name === 'renew').length).toBe(2)
  })
})

it('a doorbell that polls ignores rings, runs no SQL, and can be woken', async () => {
  const bell = createPollDoorbell({ poll: POLL })
  const query = () => expect.unreachable()
  let isOver = false
  const waiting = bell.next(0, query).then(() => {
    isOver = true
  })
  bell.ring('1')
  await vi.advanceTimersByTimeAsync(POLL - 1)
  expect(isOver).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  await waiting
  const woken = bell.next(0, query)
  bell.wake()
  await woken
})

describe('the pace', () => {
  it('waits for the shortest time while nothing is found, and approaches twice that while each read finds something', () => {
    const pace = createPace(POLL)
    for (let i = 0; i < 100; i++) expect(pace.next(0)).toBe(POLL)
    const waits = Array.from({ length: 40 }, () => pace.next(3))
    expect(waits).toEqual([...waits].sort((a, b) => a - b))
    expect(waits[0]).toBeLessThan(1.2 * POLL)
    expect(waits.at(-1)).toBeGreaterThan(1.95 * POLL)
    for (let i = 0; i < 40; i++) pace.next(0)
    expect(pace.next(0)).toBeLessThan(1.02 * POLL) // so it is quick again long before the server sleeps
  })

  it('stays between the shortest time and twice that, and never waits less because a read found something', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3)), found => {
        const [pace, other] = [createPace(POLL), createPace(POLL)]
        for (const events of found) {
          const wait = pace.next(events)
          expect(wait).toBeGreaterThanOrEqual(POLL)
          expect(wait).toBeLessThanOrEqual(2 * POLL)
          other.next(events)
        }
        expect(pace.next(1)).toBeGreaterThan(other.next(0))
      }),
    )
  })

  it('is as many times slower as there are servers, but at most 50 ms, and never quicker than alone', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(50))), steps => {
        const [alone, shared] = [createPace(POLL), createPace(POLL)]
        for (const [found, servers] of steps) {
          const wait = alone.next(found)
          expect(shared.next(found, servers)).toBe(
            servers <= 1 ? wait : Math.max(wait, Math.min(POLL * servers, 50)),
          )
        }
      }),
    )
  })
})
