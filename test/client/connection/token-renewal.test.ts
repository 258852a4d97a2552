import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createTokenRenewal } from '../../../src/client/connection/token-renewal.js'
import { signText } from '../../support/tokens.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const inSeconds = (seconds: number) => ({
  authorization: signText(JSON.stringify({ exp: Date.now() / 1000 + seconds })),
})

function create(tokens: (() => unknown)[]) {
  const connectionParams = vi.fn(() => (tokens.length > 1 ? tokens.shift() : tokens[0])?.())
  const reconnect = vi.fn()
  const state = { isSafe: true }
  const renewal = createTokenRenewal<unknown>({ connectionParams, reconnect, isSafe: () => state.isSafe })
  return { reconnect, state, ...renewal, fetched: connectionParams }
}

it('fetches another token 30 s before the present one expires, then reconnects with it', async () => {
  const next = inSeconds(7200)
  const { fetched, reconnect, connectionParams } = create([() => inSeconds(3600), () => next])
  await connectionParams()
  await vi.advanceTimersByTimeAsync(3_569_000)
  expect(fetched).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(fetched).toHaveBeenCalledTimes(2)
  expect(reconnect).toHaveBeenCalledOnce()
  expect(await connectionParams()).toBe(next)
  expect(fetched).toHaveBeenCalledTimes(2)
})

it('of a short time, the last tenth is left', async () => {
  const { reconnect, connectionParams } = create([() => inSeconds(100), () => inSeconds(200)])
  await connectionParams()
  await vi.advanceTimersByTimeAsync(89_000)
  expect(reconnect).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(reconnect).toHaveBeenCalledOnce()
})

it.each([
  ['the token is still the same', () => undefined],
  [
    'the function fails',
    () => {
      throw new Error('no network')
    },
  ],
])('does not reconnect if %s', async (_why, second) => {
  const first = inSeconds(100)
  const { reconnect, fetched, connectionParams } = create([() => first, () => second() ?? first])
  await connectionParams()
  await vi.advanceTimersByTimeAsync(1_000_000)
  expect(fetched).toHaveBeenCalledTimes(2)
  expect(reconnect).not.toHaveBeenCalled()
})

it('does not reconnect while that would do harm, and the next connection has the other token', async () => {
  const next = inSeconds(200)
  const { reconnect, state, connectionParams, gone } = create([() => inSeconds(100), () => next])
  state.isSafe = false
  await connectionParams()
  await vi.advanceTimersByTimeAsync(95_000)
  expect(reconnect).not.toHaveBeenCalled()
  gone()
  expect(await connectionParams()).toBe(next)
})

it('does nothing for a lost connection, also if it is lost while the token is fetched', async () => {
  const lost = create([() => inSeconds(100), () => inSeconds(200)])
  await lost.connectionParams()
  lost.gone()
  await vi.advanceTimersByTimeAsync(200_000)
  expect(lost.fetched).toHaveBeenCalledTimes(1)

  let arrive = (_params: unknown) => {}
  const slow = create([() => inSeconds(100), () => new Promise(resolve => (arrive = resolve))])
  await slow.connectionParams()
  await vi.advanceTimersByTimeAsync(90_000)
  slow.gone()
  arrive(inSeconds(200))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(slow.reconnect).not.toHaveBeenCalled()
})

it.each([
  ['has expired by this clock', -60],
  ['expires within seconds', 4],
  ['lasts longer than a timer', 2 ** 31],
])('leaves a token to the server that %s', async (_what, seconds) => {
  const { connectionParams } = create([() => inSeconds(seconds)])
  await connectionParams()
  expect(vi.getTimerCount()).toBe(0)
})
