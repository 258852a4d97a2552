import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type FailureDetails, type ReconnectOptions, reconnect } from '../../src/postgres/reconnect.js'

const REFUSED = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
const MAX_MS = 1000

/** The behaviour of a session. */
type Step = 'fails' | 'is ready, fails' | 'is ready, returns' | 'returns'

interface Played {
  /** The calls so far, in order. */
  readonly calls: string[]
  readonly failures: FailureDetails[]
  readonly waits: number[]
}

/** Runs the sessions; the last one aborts the signal. */
async function play(steps: readonly Step[], options: Partial<ReconnectOptions> = {}): Promise<Played> {
  const stop = new AbortController()
  const played: Played = { calls: [], failures: [], waits: [] }
  const left = [...steps]
  await reconnect({
    config: { host: 'db', port: 5432 },
    reconnectMax: MAX_MS,
    signal: stop.signal,
    async session(attempt, ready) {
      played.calls.push(`session ${attempt}`)
      const step = left.shift()
      if (!step) return stop.abort()
      if (step.startsWith('is ready')) ready()
      if (step.endsWith('fails')) throw REFUSED
    },
    onFailure({ message }, details) {
      played.calls.push(message)
      played.failures.push(details)
    },
    async wait(ms) {
      played.calls.push('wait')
      played.waits.push(ms)
    },
    ...options,
  })
  return played
}

describe('reconnect', () => {
  it('reports a failure before it waits, then starts the next session', async () => {
    const { calls, failures, waits } = await play(['fails'])
    const message = 'nothing listens on db:5432 (ECONNREFUSED)'
    expect(calls).toEqual(['session 1', message, 'wait', 'session 2'])
    expect(failures).toEqual([{ error: REFUSED, attempt: 1, retryIn: waits[0] }])
  })

  it('doubles the pause up to its maximum, and starts again from the first pause after a session that was ready', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1) // The longest of the random pauses.
    const { failures, waits } = await play([...Array(6).fill('fails'), 'is ready, fails', 'fails', 'fails'])
    vi.restoreAllMocks()
    expect(failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 0, 1, 2])
    expect(waits).toEqual([100, 200, 400, 800, MAX_MS, MAX_MS, 0, 100, 200])
  })

  it('uses the number of attempts that the caller counts, if it is higher', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const { failures, waits } = await play([...Array(4).fill('fails'), 'is ready, fails'], {
      minAttempt: () => 3,
    })
    vi.restoreAllMocks()
    expect(failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 0])
    expect(waits).toEqual([400, 400, 400, 800, 400])
  })

  it('counts sessions since the last ready one, and pauses after failures only', async () => {
    const steps = fc.constantFrom<Step>('fails', 'is ready, fails', 'is ready, returns', 'returns')
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 20 }), async steps => {
        const { calls, failures, waits } = await play(steps)
        const expected = [1]
        for (const step of steps) expected.push(step.startsWith('is ready') ? 1 : (expected.at(-1) ?? 0) + 1)
        const sessions = calls.filter(call => call.startsWith('session'))
        expect(sessions).toEqual(expected.map(attempt => `session ${attempt}`))
        expect(waits).toEqual(failures.map(({ retryIn }) => retryIn))
        expect(waits).toHaveLength(steps.filter(step => step.endsWith('fails')).length)
        for (const { attempt, retryIn } of failures) {
          const longest = attempt === 0 ? 0 : Math.min(MAX_MS, 100 * 2 ** (attempt - 1))
          expect(retryIn).toBeGreaterThanOrEqual(longest / 2)
          expect(retryIn).toBeLessThanOrEqual(longest)
        }
      }),
    )
  })

  it('does not report a session that fails because of the abort', async () => {
    const stop = new AbortController()
    const onFailure = vi.fn()
    const session = vi.fn(async () => {
      stop.abort()
      throw REFUSED
    })
    await play([], { signal: stop.signal, session, onFailure })
    expect(session).toHaveBeenCalledOnce()
    expect(onFailure).not.toHaveBeenCalled()
  })

  it('ends a pause when the signal aborts', async () => {
    const stop = new AbortController()
    const session = vi.fn(() => Promise.reject(REFUSED))
    const onFailure = () => setImmediate(() => stop.abort())
    await play([], {
      signal: stop.signal,
      reconnectMax: 2 ** 31,
      minAttempt: () => 30,
      session,
      onFailure,
      wait: undefined,
    })
    expect(session).toHaveBeenCalledOnce()
  })

  it('does nothing once the signal has aborted', async () => {
    expect(await play([], { signal: AbortSignal.abort() })).toEqual({ calls: [], failures: [], waits: [] })
  })

  it('rejects with the error that onFailure throws', async () => {
    const broken = new Error('broken')
    const onFailure = () => {
      throw broken
    }
    await expect(play(['fails'], { onFailure })).rejects.toBe(broken)
  })
})
