import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBackoff } from '../../src/client/backoff.js'
import { applyChange } from '../../src/client/index.js'
import { isWorthRetrying } from '../../src/client/is-worth-retrying.js'
import { createSocketWatch } from '../../src/client/socket-watch.js'

describe('the watch over a socket', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function start(readyState: number) {
    const socket = { readyState, onmessage: vi.fn(), onerror: vi.fn(), close: vi.fn() }
    const terminate = vi.fn()
    const watch = createSocketWatch({ connectTimeout: 1000, pongTimeout: 100, terminate })
    watch.created(socket)
    return { socket, terminate, watch }
  }

  it('closes one that does not open, and terminates one that opens and is not acknowledged', () => {
    const connecting = start(0)
    vi.advanceTimersByTime(999)
    expect(connecting.socket.close).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(connecting.socket.close).toHaveBeenCalledOnce()
    expect(connecting.terminate).not.toHaveBeenCalled()
    const open = start(1)
    vi.advanceTimersByTime(1000)
    expect(open.terminate).toHaveBeenCalledOnce()
  })

  it('terminates after a ping that nothing follows, and takes no message more', () => {
    const { socket, terminate, watch } = start(1)
    watch.heard()
    vi.advanceTimersByTime(10_000) // quiet, and nobody asked
    watch.asked()
    vi.advanceTimersByTime(99)
    expect(terminate).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(terminate).toHaveBeenCalledOnce()
    expect(socket.onmessage).toBeNull()
    expect(socket.onerror).not.toBeNull() // `ws` throws errors that nobody takes
  })

  it('is patient while something comes, until the pong or until nothing comes', () => {
    const { terminate, watch } = start(1)
    watch.heard()
    watch.asked()
    for (let i = 0; i < 50; i++) {
      vi.advanceTimersByTime(90)
      watch.received()
    }
    watch.heard()
    vi.advanceTimersByTime(10_000)
    watch.received() // nobody asked
    vi.advanceTimersByTime(10_000)
    expect(terminate).not.toHaveBeenCalled()
    watch.asked()
    watch.received()
    vi.advanceTimersByTime(100)
    expect(terminate).toHaveBeenCalledOnce()
  })

  it('rests once the connection is gone', () => {
    const { terminate, watch } = start(1)
    watch.asked()
    watch.gone()
    vi.advanceTimersByTime(10_000)
    expect(terminate).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('pauses', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  /** ms that a pause takes. */
  async function pause(retries: number, random: number): Promise<number> {
    vi.spyOn(Math, 'random').mockReturnValue(random)
    const before = Date.now()
    const waited = createBackoff().wait(retries)
    vi.runAllTimers()
    await waited
    return Date.now() - before
  }

  it('are spread over a second, then two, and so on to ten', async () => {
    expect(await pause(0, 0)).toBe(100)
    expect(await pause(0, 0.5)).toBe(600)
    expect(await pause(1, 0.5)).toBe(1100)
    expect(await pause(3, 0.5)).toBe(4100)
    expect(await pause(4, 0.5)).toBe(5100)
    expect(await pause(5000, 0.5)).toBe(5100)
  })

  it('end when they are cancelled', async () => {
    const backoff = createBackoff()
    backoff.cancel() // nothing to end
    const waited = backoff.wait(0)
    backoff.cancel()
    await waited
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('what is worth another try', () => {
  it.each([
    ['a browser that could not connect', new Event('error'), true],
    ['the end of a connection', { code: 1006, reason: '' }, true],
    ['a server that restarts', { code: 1012, reason: 'restart' }, true],
    [
      'a terminated one',
      Object.assign(new Error('4499: Terminated'), { code: 4499, reason: 'Terminated' }),
      true,
    ],
    ['what may not be', { code: 4403, reason: 'Forbidden' }, false],
    ['a token that has expired', { code: 4403, reason: 'Token expired' }, true],
    ['somebody who was kicked', { code: 4403, reason: 'Session ended' }, true],
    ['an error of the application', new TypeError('x is not a function'), false],
  ])('%s: %s', (_what, reason, worth) => {
    expect(isWorthRetrying(reason)).toBe(worth)
  })
})

describe('applyChange', () => {
  interface Person {
    readonly id: number
    readonly name: string
  }
  const idOf = ({ id }: Pick<Person, 'id'>) => id
  const people = () => new Map([1, 2].map(id => [id, { id, name: `person ${id}` }]))

  it.each([
    [
      'adds',
      { operation: 'INSERT', key: { id: 3 }, row: { id: 3, name: 'Ada' } },
      ['1 person 1', '2 person 2', '3 Ada'],
    ],
    [
      'changes in place',
      { operation: 'UPDATE', key: { id: 1 }, row: { id: 1, name: 'Ada' } },
      ['1 Ada', '2 person 2'],
    ],
    ['removes', { operation: 'DELETE', key: { id: 1 }, row: null }, ['2 person 2']],
    ['removes what left the filter', { operation: 'UPDATE', key: { id: 2 }, row: null }, ['1 person 1']],
    [
      'adds what came into the filter',
      { operation: 'UPDATE', key: { id: 3 }, row: { id: 3, name: 'Ada' } },
      ['1 person 1', '2 person 2', '3 Ada'],
    ],
    [
      'removes what was never there',
      { operation: 'DELETE', key: { id: 9 }, row: null },
      ['1 person 1', '2 person 2'],
    ],
    ['clears', { operation: 'TRUNCATE', key: null, row: null }, []],
  ])('%s', (_what, change, expected) => {
    const rows = people()
    applyChange(rows, change, idOf)
    expect([...rows].map(([id, { name }]) => `${id} ${name}`)).toEqual(expected)
  })

  it('refuses a change of nobody knows which row', () => {
    const rows = people()
    expect(() => applyChange(rows, { operation: 'DELETE', key: null, row: null }, idOf)).toThrow('key')
    expect(rows.size).toBe(2)
  })
})
