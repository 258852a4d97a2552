import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createSocketWatch } from '../../../src/client/connection/socket-watch.js'

describe('the socket watch', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function start(readyState: number) {
    const socket = { readyState, onmessage: vi.fn(), onerror: vi.fn(), close: vi.fn() }
    const terminate = vi.fn()
    const watch = createSocketWatch({ connectTimeout: 1000, pongTimeout: 100, terminate })
    watch.created(socket)
    return { socket, terminate, watch }
  }

  it('closes a socket that does not open, and terminates one that opens and is not acknowledged', () => {
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

  it('terminates after a ping without a later message, and passes on no more messages', () => {
    const { socket, terminate, watch } = start(1)
    watch.heard()
    vi.advanceTimersByTime(10_000) // Quiet, and no ping is pending.
    watch.asked()
    vi.advanceTimersByTime(99)
    expect(terminate).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(terminate).toHaveBeenCalledOnce()
    expect(socket.onmessage).toBeNull()
    expect(socket.onerror).not.toBeNull() // `ws` throws errors that have no listener.
  })

  it('waits while messages arrive, until the pong or until nothing arrives', () => {
    const { terminate, watch } = start(1)
    watch.heard()
    watch.asked()
    for (let i = 0; i < 50; i++) {
      vi.advanceTimersByTime(90)
      watch.received()
    }
    watch.heard()
    vi.advanceTimersByTime(10_000)
    watch.received() // No ping is pending.
    vi.advanceTimersByTime(10_000)
    expect(terminate).not.toHaveBeenCalled()
    watch.asked()
    watch.received()
    vi.advanceTimersByTime(100)
    expect(terminate).toHaveBeenCalledOnce()
  })

  it('stops once the connection is closed', () => {
    const { terminate, watch } = start(1)
    watch.asked()
    watch.gone()
    vi.advanceTimersByTime(10_000)
    expect(terminate).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })
})
